// The catalog of the objects that exist: a record for each in the catalog's family, under its encoded id, and so in the
// order of namespace, class and name. A record is written in the commit that creates, moves or removes the object, and
// now and then when the object's size or time of change have moved on.

#ifndef HOLDFAST_STORAGE_NODE_CATALOG_H_
#define HOLDFAST_STORAGE_NODE_CATALOG_H_

#include <cstdint>
#include <string>

#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::storage {

// `family_generation` is 0 for a packed object. The other values are those of the header.
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
