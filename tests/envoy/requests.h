// Requests of Envoy's rate limit service, and the files of rules/.

#ifndef HOLDFAST_TESTS_ENVOY_REQUESTS_H_
#define HOLDFAST_TESTS_ENVOY_REQUESTS_H_

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "envoy/service/ratelimit/v3/rls.grpc.pb.h"

namespace holdfast::testing {

using envoy::service::ratelimit::v3::RateLimitRequest;
using envoy::service::ratelimit::v3::RateLimitResponse;
using envoy::service::ratelimit::v3::RateLimitService;

using Entries = std::vector<std::pair<std::string, std::string>>;

inline RateLimitRequest RequestFor(const std::string& domain, const std::vector<Entries>& descriptors) {
  RateLimitRequest request;
  request.set_domain(domain);
  for (const Entries& entries : descriptors) {
    auto* const descriptor = request.add_descriptors();
    for (const auto& [key, value] : entries) {
      auto* const entry = descriptor->add_entries();
      entry->set_key(key);
      entry->set_value(value);
    }
  }
  return request;
}

// Returns the paths of the files of rules/, each of one domain.
inline std::vector<std::string> ExampleFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(ENVOY_RULES)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_ENVOY_REQUESTS_H_
