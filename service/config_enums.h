// Enum settings in a configuration's text. Each value has a short form beside its full name, DEBUG for LOG_LEVEL_DEBUG,
// and the error for any other value lists those that are accepted.

#ifndef HOLDFAST_SERVICE_CONFIG_ENUMS_H_
#define HOLDFAST_SERVICE_CONFIG_ENUMS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace holdfast::service {

// Returns the value of that full or short name; null if there is none.
const google::protobuf::EnumValueDescriptor* FindEnumValue(const google::protobuf::EnumDescriptor& type,
                                                           absl::string_view name);
// Returns the short forms of the values that can be set, "DEBUG, INFO, WARNING, ERROR": all but number 0, which means
// unset.
std::string EnumValueList(const google::protobuf::EnumDescriptor& type);
// Returns the message: "LOUD" is not one of DEBUG, INFO, ...
std::string NotAnEnumValue(const google::protobuf::EnumDescriptor& type, absl::string_view value);

// Returns `text`, a message of this type in text format, with numbers for the names of enum values. Every other token
// stays where it is, so the positions in the parser's errors are right. INVALID_ARGUMENT with "line N, column M: ..."
// for a name that the enum does not have; all other mistakes are left to the parser.
absl::StatusOr<std::string> WithEnumNumbers(const google::protobuf::Descriptor& type, absl::string_view text);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CONFIG_ENUMS_H_
