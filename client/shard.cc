#include "client/shard.h"

#include <xxhash.h>

#include <string>

namespace holdfast::client {

uint32_t ShardOf(absl::string_view ns, absl::string_view object_class, absl::string_view name) {
  std::string encoded;
  for (absl::string_view text : {ns, object_class, name}) {
    for (const char c : text) {
      encoded.push_back(c);
      if (c == '\0') encoded.push_back('\xff');
    }
    encoded.append("\0\x01", 2);
  }
  return static_cast<uint32_t>(XXH3_64bits(encoded.data(), encoded.size()) % kShardCount);
}

}  // namespace holdfast::client
