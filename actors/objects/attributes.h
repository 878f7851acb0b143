// Checks the attributes of users: JSON must be able to carry every value.
//
// Protobuf has values that JSON cannot express: a value without a kind, NaN, the infinities. It also allows values that
// nest deeper than common JSON libraries read. A client that reads JSON could never read a user with such an attribute
// again, nor any page of a list with that user, so such attributes are refused before they are stored.

#ifndef HOLDFAST_ACTORS_OBJECTS_ATTRIBUTES_H_
#define HOLDFAST_ACTORS_OBJECTS_ATTRIBUTES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace holdfast::actors {

// The most structs and lists around a value, besides the attributes themselves. The JSON of Protobuf's own C++ library
// goes no deeper.
inline constexpr int kAttributeNestingMax = 30;

// INVALID_ARGUMENT, naming the value as in user.attributes["x"]["y"][3], if JSON cannot express a value.
absl::Status CheckAttributes(const google::protobuf::Struct& attributes, absl::string_view field);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_ATTRIBUTES_H_
