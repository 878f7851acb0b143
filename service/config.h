// The configuration of holdfastd: proto/holdfast/config/v1/config.proto in text format, with its defaults filled in and
// its bounds checked. A setting that is unknown or out of bounds is an error that names it. Enum settings take short
// names too (config_enums.h).

#ifndef HOLDFAST_SERVICE_CONFIG_H_
#define HOLDFAST_SERVICE_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "holdfast/config/v1/config.pb.h"

namespace holdfast::service {

// INVALID_ARGUMENT names the line and the setting.
absl::StatusOr<config::v1::Config> ParseConfig(absl::string_view text);
// NOT_FOUND if the file cannot be read.
absl::StatusOr<config::v1::Config> ReadConfigFile(const std::string& path);

// Gives every unset setting its default, and checks the others. INVALID_ARGUMENT names every setting that is out of
// bounds.
absl::Status CompleteConfig(config::v1::Config* config);

// Sets log_level to the value of this full or short name. INVALID_ARGUMENT lists the values.
absl::Status SetLogLevel(absl::string_view name, config::v1::Config* config);

// Returns the configuration as the text of a file without comments; ParseConfig reads it back.
std::string ConfigText(const config::v1::Config& config);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CONFIG_H_
