// What attributes of users may be: what every reader of them can be told, in JSON too.
//
// Protobuf carries values that JSON has no word for: one without a kind, NaN, the infinities. It also carries values
// that nest deeper than the JSON of common libraries goes. A client that reads JSON could never read a user with such
// an attribute again, nor any page of a list with that user, so they are refused before they are stored.

#ifndef HOLDFAST_ACTORS_OBJECTS_ATTRIBUTES_H_
#define HOLDFAST_ACTORS_OBJECTS_ATTRIBUTES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace holdfast::actors {

// Structs and lists around a value, besides the attributes themselves. The JSON of Protobuf's own C++ library ends
// here.
inline constexpr int kAttributeNestingMax = 30;

// INVALID_ARGUMENT, naming the value as in user.attributes["x"]["y"][3], if there is one that JSON cannot say.
absl::Status CheckAttributes(const google::protobuf::Struct& attributes, absl::string_view field);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_ATTRIBUTES_H_
