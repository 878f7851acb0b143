#include "service/rpcs/builtin.h"

namespace holdfast::service {

Extension BuiltIn() {
  Extension extension;
  AddCounterRpcs(&extension);
  AddRateLimiterRpcs(&extension);
  AddBatchProcessorRpcs(&extension);
  AddUserCacheRpcs(&extension);
  AddObjectRpcs(&extension);
  AddAdminRpcs(&extension);
  AddHealthRpcs(&extension);
  AddReflectionRpcs(&extension);
  return extension;
}

}  // namespace holdfast::service
