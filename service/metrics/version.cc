#include "service/metrics/version.h"

namespace holdfast::service {

std::string ServerVersion() { return HOLDFAST_VERSION; }

}  // namespace holdfast::service
