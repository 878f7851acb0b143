// The id of an object as clients see it.

#ifndef HOLDFAST_ACTORS_WIRE_WIRE_OBJECT_H_
#define HOLDFAST_ACTORS_WIRE_WIRE_OBJECT_H_

#include "holdfast/v1/types.pb.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

inline void SetObject(const storage::ObjectId& id, v1::ObjectId* object) {
  object->set_namespace_(id.ns);
  object->set_object_class(id.object_class);
  object->set_name(id.name);
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_WIRE_OBJECT_H_
