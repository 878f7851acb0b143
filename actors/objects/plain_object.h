// The class "Object": an object with no behaviour of its own, whose storage is its client's. Its handlers are those
// that every object has.

#ifndef HOLDFAST_ACTORS_OBJECTS_PLAIN_OBJECT_H_
#define HOLDFAST_ACTORS_OBJECTS_PLAIN_OBJECT_H_

#include "actors/object.h"

namespace holdfast::actors {

class PlainObject : public Object {
 public:
  using Object::Object;
  static const ObjectClass& Class();
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_PLAIN_OBJECT_H_
