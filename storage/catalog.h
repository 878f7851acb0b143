// Which objects exist: a record for each in the catalog's family, under its encoded id, so that they are in the order
// of namespace, class and name. Written in the commit that brings the object into being, moves it or removes it.

#ifndef HOLDFAST_STORAGE_CATALOG_H_
#define HOLDFAST_STORAGE_CATALOG_H_

#include <cstdint>
#include <string>

#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::storage {

// `family_generation`: 0 for a packed object.
inline std::string CatalogValue(uint64_t family_generation, int64_t create_time_us) {
  v1::CatalogRecord record;
  record.set_family_generation(family_generation);
  record.set_create_time_us(create_time_us);
  return record.SerializeAsString();
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_CATALOG_H_
