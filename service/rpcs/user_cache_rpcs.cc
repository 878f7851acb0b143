// UserCacheService: each call is for one UserCache.

#include "actors/objects/user_cache.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {

using actors::UserCache;

void AddUserCacheRpcs(Extension* extension) {
  const actors::ObjectClass* const users = &UserCache::Class();
  extension->object_classes.push_back(users);

  RpcRows<v1::UserCacheService> rows;
  rows.Unary<&UserCache::GetUser>("GetUser", Verb::kRead, users);
  rows.Unary<&UserCache::UpdateUser>("UpdateUser", Verb::kWrite, users);
  rows.Unary<&UserCache::DeleteUser>("DeleteUser", Verb::kWrite, users);
  rows.Unary<&UserCache::BatchGetUsers>("BatchGetUsers", Verb::kRead, users);
  rows.Unary<&UserCache::ListUsers>("ListUsers", Verb::kRead, users);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
