// The object classes and services that every server has, as an Extension: the server takes them in as it does those of
// a program that adds its own.
//
// A new service is a file here (leaderboard_rpcs.cc) with its Add function, its declaration below, and a line in
// builtin.cc.

#ifndef HOLDFAST_SERVICE_RPCS_BUILTIN_H_
#define HOLDFAST_SERVICE_RPCS_BUILTIN_H_

#include "service/rpcs/extension.h"

namespace holdfast::service {

// Each function adds its service, and the service's object class if there is one.
void AddCounterRpcs(Extension* extension);
void AddRateLimiterRpcs(Extension* extension);
void AddBatchProcessorRpcs(Extension* extension);
void AddUserCacheRpcs(Extension* extension);
void AddObjectRpcs(Extension* extension);
void AddAdminRpcs(Extension* extension);
void AddPlacementRpcs(Extension* extension);
void AddHealthRpcs(Extension* extension);
void AddReflectionRpcs(Extension* extension);  // both versions
// For a server with rules (Endpoint::rate_limits).
void AddEnvoyRateLimitRpcs(Extension* extension);

// Returns all of them, in the order in which reflection lists them; reflection and Envoy's rate limit service only if
// they are asked for.
Extension BuiltIn(bool reflection = true, bool rate_limits = true);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_BUILTIN_H_
