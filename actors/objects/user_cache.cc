#include "actors/objects/user_cache.h"

#include <xxhash.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/attributes.h"
#include "actors/wire/deterministic.h"
#include "actors/wire/errors.h"
#include "actors/wire/page_token.h"
#include "actors/wire/wire_time.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

using storage::KeyRange;
using storage::v1::UserRow;

constexpr size_t kTextBytesMax = 512;
constexpr size_t kAttributesBytesMax = 64 << 10;
// This exceeds a page by more than any user, so a scan that ends here has read a user that is not on the page.
constexpr size_t kScanBytesMax = kPageBytesMax + 2 * kAttributesBytesMax;
constexpr int kBatchIdsMax = 128;
constexpr size_t kCacheBytesMax = 8 << 20;
// The memory that a cached user takes beyond its bytes.
constexpr size_t kCachedUserBytes = 512;

std::string IdKey(absl::string_view id) {
  std::string key;
  storage::AppendText(&key, id);
  return key;
}

const storage::TableSpec<UserRow>& Users() {
  static const auto* const spec = new storage::TableSpec<UserRow>{
      .id = 1, .append_primary_key = [](const UserRow& row, std::string* key) { storage::AppendText(key, row.id()); }};
  return *spec;
}

absl::Status CheckText(absl::string_view text, absl::string_view field) {
  if (text.size() <= kTextBytesMax) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", text.size(), " bytes; at most ", kTextBytesMax));
}

absl::Status CheckId(absl::string_view id, absl::string_view field) {
  if (id.empty()) return InvalidField(field, "must not be empty");
  return CheckText(id, field);
}

absl::Status CheckUser(const v1::User& user) {
  if (absl::Status status = CheckId(user.id(), "user.id"); !status.ok()) return status;
  if (absl::Status status = CheckText(user.name(), "user.name"); !status.ok()) return status;
  if (absl::Status status = CheckText(user.email(), "user.email"); !status.ok()) return status;
  return CheckAttributes(user.attributes(), "user.attributes");
}

// Returns a random revision: a user who was deleted and comes back begins with another one, so an old etag does not
// hold again.
int64_t FirstRevision(Random& random) { return 1 + static_cast<int64_t>(random.Uniform() * (int64_t{1} << 52)); }

// Returns a hash of the row. No two states of a user have the same row, since every change raises its revision.
std::string Etag(const UserRow& row) {
  const std::string bytes = row.SerializeAsString();
  return absl::StrCat(absl::Hex(XXH3_64bits(bytes.data(), bytes.size()), absl::kZeroPad16));
}

void FillUser(const UserRow& row, v1::User* user) {
  user->set_id(row.id());
  user->set_name(row.name());
  user->set_email(row.email());
  if (!row.attributes().empty()) user->mutable_attributes()->ParseFromString(row.attributes());
  user->set_etag(Etag(row));
  SetTimestamp(row.create_time_us(), user->mutable_create_time());
  SetTimestamp(row.update_time_us(), user->mutable_update_time());
}

// Applies an update to a row; INVALID_ARGUMENT, and the row unspecified, if it may not be applied.
absl::Status Merge(const v1::UpdateUserRequest& request, UserRow* row) {
  const v1::User& user = request.user();
  google::protobuf::Struct attributes;
  if (!attributes.ParseFromString(row->attributes())) return absl::DataLossError("a user's attributes are garbled");

  if (request.update_mask().paths().empty()) {
    if (!user.name().empty()) row->set_name(user.name());
    if (!user.email().empty()) row->set_email(user.email());
    for (const auto& [key, value] : user.attributes().fields()) (*attributes.mutable_fields())[key] = value;
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "name") {
      row->set_name(user.name());
    } else if (path == "email") {
      row->set_email(user.email());
    } else if (path == "attributes") {
      attributes = user.attributes();
    } else {
      return InvalidField("update_mask", absl::StrCat("unknown path \"", path, "\""));
    }
  }
  for (const std::string& key : request.remove_attributes()) attributes.mutable_fields()->erase(key);

  row->set_attributes(SerializeDeterministically(attributes));
  if (row->attributes().size() > kAttributesBytesMax) {
    return InvalidField("user.attributes",
                        absl::StrCat("would have ", row->attributes().size(), " bytes; at most ", kAttributesBytesMax));
  }
  return absl::OkStatus();
}

absl::Status EtagMismatch(absl::string_view id) {
  return Error(absl::StatusCode::kAborted, v1::ERROR_REASON_ETAG_MISMATCH,
               absl::StrCat("user \"", id, "\" has changed since this etag was read; read it again"));
}

absl::Status NoSuchUser(absl::string_view id) { return NotFound(absl::StrCat("user \"", id, "\" does not exist")); }

}  // namespace

const ObjectClass& UserCache::Class() {
  static const auto* const object_class = new ObjectClass{.name = "UserCache", .make = Make<UserCache>};
  return *object_class;
}

UserCache::UserCache(ObjectContext* context) : Object(context), table_(&storage(), &Users()), users_(kCacheBytesMax) {}

void UserCache::Keep(const Row& row) {
  users_.Insert(row.id(), row);
  users_.SetWeight(row.id(), kCachedUserBytes + row.ByteSizeLong());
  users_.Trim();
}

Task<absl::StatusOr<std::optional<UserRow>>> UserCache::Find(const std::string& id) {
  if (const Row* const known = users_.Find(id)) co_return std::optional<Row>(*known);
  auto row = co_await table_.Get(IdKey(id));
  if (!row.ok()) co_return row.status();
  if (*row) Keep(**row);
  co_return *std::move(row);
}

Task<absl::Status> UserCache::GetUser(const v1::GetUserRequest& request, v1::GetUserResponse* response) {
  if (absl::Status status = CheckId(request.id(), "id"); !status.ok()) co_return status;
  auto row = co_await Find(request.id());
  if (!row.ok()) co_return row.status();
  if (!*row) co_return NoSuchUser(request.id());
  FillUser(**row, response->mutable_user());
  co_return absl::OkStatus();
}

Task<absl::Status> UserCache::UpdateUser(const v1::UpdateUserRequest& request, v1::UpdateUserResponse* response) {
  const v1::User& user = request.user();
  if (absl::Status status = CheckUser(user); !status.ok()) co_return status;
  auto found = co_await Find(user.id());
  if (!found.ok()) co_return found.status();
  const std::optional<Row>& old = *found;
  if (!old && !request.allow_missing()) co_return NoSuchUser(user.id());
  if (!user.etag().empty() && (!old || Etag(*old) != user.etag())) co_return EtagMismatch(user.id());

  Row row;
  if (old) row = *old;
  if (absl::Status status = Merge(request, &row); !status.ok()) co_return status;
  const int64_t now_us = absl::ToUnixMicros(Now());
  row.set_id(user.id());
  row.set_revision(old ? row.revision() + 1 : FirstRevision(random()));
  if (!old) row.set_create_time_us(now_us);
  row.set_update_time_us(now_us);
  table_.Write(row, old ? &*old : nullptr);
  Keep(row);
  FillUser(row, response->mutable_user());
  co_return absl::OkStatus();
}

Task<absl::Status> UserCache::DeleteUser(const v1::DeleteUserRequest& request, v1::DeleteUserResponse*) {
  if (absl::Status status = CheckId(request.id(), "id"); !status.ok()) co_return status;
  auto found = co_await Find(request.id());
  if (!found.ok()) co_return found.status();
  if (!*found) {
    if (!request.allow_missing()) co_return NoSuchUser(request.id());
    if (!request.etag().empty()) co_return EtagMismatch(request.id());
    co_return absl::OkStatus();
  }
  if (!request.etag().empty() && Etag(**found) != request.etag()) co_return EtagMismatch(request.id());
  table_.Erase(**found);
  users_.Erase(request.id());
  co_return absl::OkStatus();
}

Task<absl::Status> UserCache::BatchGetUsers(const v1::BatchGetUsersRequest& request,
                                            v1::BatchGetUsersResponse* response) {
  if (request.ids().empty() || request.ids_size() > kBatchIdsMax) {
    co_return InvalidField("ids", absl::StrCat("must be 1 to ", kBatchIdsMax, " ids"));
  }
  for (int i = 0; i < request.ids_size(); ++i) {
    if (absl::Status status = CheckId(request.ids(i), absl::StrCat("ids[", i, "]")); !status.ok()) co_return status;
  }
  for (const std::string& id : request.ids()) {
    auto row = co_await Find(id);
    if (!row.ok()) co_return row.status();
    if (*row) FillUser(**row, response->add_users());
  }
  co_return absl::OkStatus();
}

Task<absl::Status> UserCache::ListUsers(const v1::ListUsersRequest& request, v1::ListUsersResponse* response) {
  absl::StatusOr<PageStart> page = BeginPage(request);
  if (!page.ok()) co_return page.status();
  // The position is the id of the last user of the page before.
  KeyRange range = KeyRange::All();
  if (!page->position.empty()) range.start = IdKey(page->position) + '\0';
  auto rows = co_await table_.Scan(range, {.rows_max = page->size + 1, .bytes_max = kScanBytesMax});
  if (!rows.ok()) co_return rows.status();
  size_t bytes = 0;
  for (const Row& row : *rows) {
    if (static_cast<size_t>(response->users_size()) == page->size || bytes >= kPageBytesMax) {
      response->set_next_page_token(MakePageToken(page->fingerprint, response->users().rbegin()->id()));
      break;
    }
    bytes += row.ByteSizeLong();
    FillUser(row, response->add_users());
  }
  co_return absl::OkStatus();
}

}  // namespace holdfast::actors
