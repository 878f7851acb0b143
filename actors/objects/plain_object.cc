#include "actors/objects/plain_object.h"

namespace holdfast::actors {

const ObjectClass& PlainObject::Class() {
  static const auto* const object_class = new ObjectClass{.name = "Object", .make = Make<PlainObject>};
  return *object_class;
}

}  // namespace holdfast::actors
