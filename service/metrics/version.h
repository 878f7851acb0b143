#ifndef HOLDFAST_SERVICE_METRICS_VERSION_H_
#define HOLDFAST_SERVICE_METRICS_VERSION_H_

#include <string>

namespace holdfast::service {

// Returns the version of this server: "0.1.0".
std::string ServerVersion();

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_VERSION_H_
