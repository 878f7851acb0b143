// Configurations: a text is refused, with a message, or means the same when it is written again.

#include "service/config.h"

#include <cstdint>
#include <string>

#include "storage/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using holdfast::service::ParseConfig;
  const absl::string_view text(reinterpret_cast<const char*>(data), bytes);
  auto config = ParseConfig(text);
  if (!config.ok()) {
    HOLDFAST_CHECK(!config.status().message().empty(), "an error without a message");
    return 0;
  }
  const auto again = ParseConfig(holdfast::service::ConfigText(*config));
  HOLDFAST_CHECK(again.ok(), again.status().ToString());
  HOLDFAST_CHECK(again->SerializeAsString() == config->SerializeAsString(), "another configuration comes back");
  if (!holdfast::service::CompleteConfig(&*config).ok()) return 0;
  // A whole configuration is within its bounds.
  HOLDFAST_CHECK(holdfast::service::CompleteConfig(&*config).ok(), "a whole configuration is refused");
  return 0;
}
