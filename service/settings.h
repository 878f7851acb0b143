// The settings of a configuration, from the options of its fields (proto/holdfast/config/v1/setting.proto). Nothing
// here names a setting, so a new one needs its field in proto/holdfast/config/v1 and the code that uses it.

#ifndef HOLDFAST_SERVICE_SETTINGS_H_
#define HOLDFAST_SERVICE_SETTINGS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "holdfast/config/v1/setting.pb.h"

namespace holdfast::service {

// Returns the option of this field; the empty Setting if the field has none.
const config::v1::Setting& SettingOf(const google::protobuf::FieldDescriptor& field);

// Collects the settings that are wrong, each with the reason.
class Problems {
 public:
  void Add(absl::string_view setting, absl::string_view problem);
  // Adds the message of an error, which names the setting.
  void Add(const absl::Status& status);
  // INVALID_ARGUMENT with all problems, if there are any.
  absl::Status ToStatus() const;

 private:
  std::vector<std::string> problems_;
};

// Gives every unset setting of `config` and of its sections its default, and adds to `problems` every number that is
// out of its bounds. A number whose field has no bounds is a problem too, since nothing would check it.
void CompleteSettings(google::protobuf::Message* config, Problems* problems);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_SETTINGS_H_
