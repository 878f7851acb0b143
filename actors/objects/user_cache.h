// A read-through cache of users. The class shows the pattern of a cache in memory before storage.
//
// A user is read from storage once and then kept in memory, as long as the users together stay within a bound; an
// update changes memory and storage in the same turn, so the cache is never stale.

#ifndef HOLDFAST_ACTORS_OBJECTS_USER_CACHE_H_
#define HOLDFAST_ACTORS_OBJECTS_USER_CACHE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/objects/lru_cache.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "holdfast/v1/user_cache_service.pb.h"
#include "storage/object/table.h"

namespace holdfast::actors {

class UserCache : public Object {
 public:
  explicit UserCache(ObjectContext* context);
  static const ObjectClass& Class();

  Task<absl::Status> GetUser(const v1::GetUserRequest& request, v1::GetUserResponse* response);
  Task<absl::Status> UpdateUser(const v1::UpdateUserRequest& request, v1::UpdateUserResponse* response);
  Task<absl::Status> DeleteUser(const v1::DeleteUserRequest& request, v1::DeleteUserResponse* response);
  Task<absl::Status> BatchGetUsers(const v1::BatchGetUsersRequest& request, v1::BatchGetUsersResponse* response);
  Task<absl::Status> ListUsers(const v1::ListUsersRequest& request, v1::ListUsersResponse* response);

  size_t MemoryBytes() const override { return sizeof(*this) + users_.weight(); }

 private:
  using Row = storage::v1::UserRow;

  // Returns the user from memory, or reads it into memory; absent if there is no such user.
  Task<absl::StatusOr<std::optional<Row>>> Find(const std::string& id);
  void Keep(const Row& row);

  storage::Table<Row> table_;
  LruCache<Row> users_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_USER_CACHE_H_
