// Which objects exist: a record for each in the catalog's family, under its encoded id, so that they are in the order
// of namespace, class and name. Written in the commit that brings the object into being, moves it or removes it,
// and now and then when its size or time of change have moved on.

#ifndef HOLDFAST_STORAGE_NODE_CATALOG_H_
#define HOLDFAST_STORAGE_NODE_CATALOG_H_

#include <cstdint>
#include <string>

#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::storage {

// `family_generation`: 0 for a packed object. The other values are those of the header.
inline std::string CatalogValue(uint64_t family_generation, const v1::ObjectHeader& header) {
  v1::CatalogRecord record;
  record.set_family_generation(family_generation);
  record.set_create_time_us(header.create_time_us());
  record.set_update_time_us(header.catalog_update_time_us());
  record.set_size_bytes(header.catalog_size_bytes());
  return record.SerializeAsString();
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_CATALOG_H_
