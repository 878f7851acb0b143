#include "service/rpcs/builtin.h"

namespace holdfast::service {

Extension BuiltIn(bool reflection, bool rate_limits) {
  Extension extension;
  AddCounterRpcs(&extension);
  AddRateLimiterRpcs(&extension);
  AddBatchProcessorRpcs(&extension);
  AddUserCacheRpcs(&extension);
  AddObjectRpcs(&extension);
  AddAdminRpcs(&extension);
  AddPlacementRpcs(&extension);
  AddHealthRpcs(&extension);
  if (reflection) AddReflectionRpcs(&extension);
  if (rate_limits) AddEnvoyRateLimitRpcs(&extension);
  return extension;
}

}  // namespace holdfast::service
