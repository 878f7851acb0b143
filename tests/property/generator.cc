#include "tests/property/generator.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/wire/entry.h"
#include "actors/wire/page_token.h"
#include "actors/wire/wire_time.h"

namespace holdfast::property {
namespace {

constexpr int64_t kSecond = 1'000'000;
// With so many keys an object is large, and takes the family of a small one.
constexpr int kBallast = 8;
constexpr size_t kBallastBytes = 150'000;

}  // namespace

std::string Generator::Key() {
  // Some keys are prefixes of others, or have a NUL or characters of several bytes; one is long.
  static const auto* const odd = new std::vector<std::string>{
      "a", "ab", std::string("a\0", 2), std::string("\0", 1), "é", "日", "a\x01", "\x7f", std::string(2048, 'z')};
  if (dice_->OneIn(4)) return (*odd)[dice_->Below(odd->size())];
  return absl::StrCat("k", dice_->Below(2), "/", dice_->Below(10));
}

std::string Generator::KeyOf(const World& world) {
  if (world.entries.empty() || dice_->OneIn(4)) return Key();
  return std::next(world.entries.begin(), static_cast<int64_t>(dice_->Below(world.entries.size())))->first;
}

std::string Generator::Value(const std::string& key) {
  const uint64_t kind = profile_ == Profile::kSql ? 199 : dice_->Below(200);
  size_t size = dice_->Below(64);
  if (kind < 60) size = dice_->Below(4096);
  if (kind < (heavy_ ? 36 : 4)) size = 100'000 + dice_->Below(300'000);
  // The value just fills a page by itself, or just does not.
  if (kind < 2) size = actors::kPageBytesMax + 2 - key.size() - dice_->Below(5);
  std::string value(size, static_cast<char>('a' + dice_->Below(26)));
  const uint64_t mark = dice_->Below(UINT64_MAX);
  for (size_t i = 0; i < sizeof(mark) && i < size; ++i) value[i] = static_cast<char>(mark >> (8 * i));
  return value;
}

void Generator::Fill(v1::Entry* entry) {
  entry->set_key(Key());
  entry->set_value(Value(entry->key()));
}

void Generator::FillTime(int64_t now_us, google::protobuf::Timestamp* time) {
  actors::SetTimestamp(now_us + dice_->Between(-5 * kSecond, 20 * kSecond), time);
}

std::string Generator::NewId() { return dice_->OneIn(3) ? "" : absl::StrCat("id", ++ids_); }

std::string Generator::Token(const std::vector<std::string>& tokens) {
  if (tokens.empty()) return "none";
  return dice_->OneIn(4) ? tokens[dice_->Below(tokens.size())] : tokens.back();
}

v1::PutEntriesRequest Generator::PutRequest() {
  v1::PutEntriesRequest request;
  const uint64_t count = dice_->OneIn(2) ? 1 : dice_->Below(7);
  for (uint64_t i = 0; i < count; ++i) Fill(request.add_entries());
  if (dice_->OneIn(40)) request.add_entries();  // without a key
  return request;
}

v1::ListEntriesRequest Generator::ListRequest() {
  v1::ListEntriesRequest request;
  request.set_page_size(dice_->OneIn(2) ? 0 : static_cast<int32_t>(1 + dice_->Below(8)));
  if (dice_->OneIn(3)) request.set_start(Key());
  if (dice_->OneIn(request.has_start() ? 15 : 3)) request.set_start_after(Key());
  if (dice_->OneIn(3)) request.set_end(Key());
  if (dice_->OneIn(3)) request.set_prefix(Key().substr(0, 1 + dice_->Below(3)));
  // A part of a character is not valid UTF-8.
  if (!request.prefix().empty() && static_cast<unsigned char>(request.prefix()[0]) >= 0x80) request.clear_prefix();
  request.set_reverse(dice_->OneIn(2));
  if (dice_->OneIn(3)) request.set_limit(static_cast<int32_t>(dice_->Below(12)));
  return request;
}

v1::ApplyBatchRequest Generator::BatchRequest(const World& world, const std::vector<std::string>& tokens,
                                              int64_t now_us) {
  v1::ApplyBatchRequest request;
  for (uint64_t i = dice_->Below(3); i > 0; --i) {
    v1::Precondition* const condition = request.add_preconditions();
    const std::string key = KeyOf(world);
    const auto it = world.entries.find(key);
    const bool wrong = dice_->OneIn(6);
    if (it == world.entries.end()) {
      wrong ? condition->set_key_present(key) : condition->set_key_absent(key);
    } else if (dice_->OneIn(3)) {
      wrong ? condition->set_key_absent(key) : condition->set_key_present(key);
    } else {
      condition->mutable_etag_equals()->set_key(key);
      condition->mutable_etag_equals()->set_etag(wrong ? std::string(32, '0') : actors::EtagOf(*it->second));
    }
  }
  for (uint64_t i = dice_->Below(6); i > 0; --i) {
    v1::BatchStep* const step = request.add_steps();
    const uint64_t kind = dice_->Below(10);
    if (kind < 5) Fill(step->mutable_put());
    if (kind >= 5 && kind < 8) step->set_delete_key(KeyOf(world));
    if (kind == 8) FillTime(now_us, step->mutable_set_alarm());
    if (kind == 9) step->set_delete_alarm(true);
  }
  if (dice_->OneIn(8)) request.set_alarm_delivery_token(Token(tokens));
  return request;
}

Operation Generator::Put(const std::string& object) { return {.object = object, .request = PutRequest()}; }

Operation Generator::Acknowledge(const std::string& object, const std::string& token, int64_t now_us) {
  if (dice_->OneIn(2)) {
    v1::ApplyBatchRequest request;
    request.set_alarm_delivery_token(token);
    request.set_request_id(NewId());
    Fill(request.add_steps()->mutable_put());
    if (dice_->OneIn(3)) FillTime(now_us, request.add_steps()->mutable_set_alarm());
    return {.object = object, .request = request};
  }
  v1::AcknowledgeAlarmRequest request;
  request.set_delivery_token(token);
  request.set_request_id(NewId());
  if (dice_->OneIn(2)) request.mutable_error()->set_code(13);
  return {.object = object, .request = request};
}

Operation Generator::GrowOrShrink(const std::string& object) {
  v1::PutEntriesRequest put;
  v1::DeleteEntriesRequest shrink;
  for (int i = 0; i < kBallast; ++i) {
    v1::Entry* const entry = put.add_entries();
    entry->set_key(absl::StrCat("ballast", i));
    entry->set_value(std::string(kBallastBytes, static_cast<char>('a' + dice_->Below(26))));
    shrink.add_keys(entry->key());
  }
  if (dice_->OneIn(3)) return {.object = object, .request = std::move(shrink)};
  return {.object = object, .request = std::move(put)};
}

Operation Generator::NextSql(const std::string& object, const World& world, const std::vector<std::string>& tokens,
                             int64_t now_us) {
  sql_.Look(world.sql);
  const uint64_t kind = dice_->Below(20);
  if (kind == 0) {
    v1::MigrateSchemaRequest request = sql_.Migration();
    request.set_request_id(NewId());
    return {.object = object, .request = std::move(request)};
  }
  if (kind < 5) {
    v1::ApplyBatchRequest request = BatchRequest(world, tokens, now_us);
    request.set_request_id(NewId());
    for (uint64_t i = 1 + dice_->Below(3); i > 0; --i) *request.add_steps()->mutable_sql() = sql_.Statement();
    if (dice_->OneIn(3)) *request.add_preconditions()->mutable_query_returns_row() = sql_.Query();
    if (dice_->OneIn(20)) *request.add_preconditions()->mutable_query_returns_row() = sql_.Statement();
    if (dice_->OneIn(8)) request.add_preconditions()->set_schema_version_equals(static_cast<int64_t>(dice_->Below(3)));
    return {.object = object, .request = std::move(request)};
  }
  v1::ExecuteSqlRequest request;
  const bool reads = world.sql != nullptr && dice_->OneIn(6);
  if (!reads || dice_->OneIn(4)) request.set_request_id(NewId());
  for (uint64_t i = 1 + dice_->Below(4); i > 0; --i) {
    *request.add_statements() = reads ? sql_.Query() : sql_.Statement();
  }
  return {.object = object, .request = std::move(request)};
}

Operation Generator::Next(const std::string& object, const World& world, const std::vector<std::string>& tokens,
                          int64_t now_us, bool heavy) {
  heavy_ = heavy;
  if (profile_ == Profile::kSql && heavy && dice_->OneIn(20)) return GrowOrShrink(object);
  if (profile_ == Profile::kSql && !dice_->OneIn(6)) return NextSql(object, world, tokens, now_us);
  const uint64_t kind = dice_->Below(100);
  const auto with_id = [&](auto request) -> Operation {
    request.set_request_id(NewId());
    return {.object = object, .request = std::move(request)};
  };
  if (kind < 26) return with_id(PutRequest());
  if (kind < 42) {
    v1::GetEntriesRequest request;
    for (uint64_t i = dice_->OneIn(2) ? 1 : dice_->Below(8); i > 0; --i) request.add_keys(KeyOf(world));
    return {.object = object, .request = std::move(request)};
  }
  if (kind < 52) {
    v1::DeleteEntriesRequest request;
    for (uint64_t i = dice_->OneIn(2) ? 1 : dice_->Below(6); i > 0; --i) request.add_keys(KeyOf(world));
    return with_id(std::move(request));
  }
  if (kind < 68) return {.object = object, .request = ListRequest()};
  if (kind < 85) return with_id(BatchRequest(world, tokens, now_us));
  if (kind < 89) {
    v1::SetAlarmRequest request;
    if (!dice_->OneIn(20) && dice_->OneIn(2)) FillTime(now_us, request.mutable_scheduled_time());
    if (dice_->OneIn(2)) {
      request.mutable_delay()->set_seconds(dice_->Between(0, 10));
      request.mutable_delay()->set_nanos(static_cast<int32_t>(dice_->Below(1'000'000'000)));
    }
    return with_id(std::move(request));
  }
  if (kind < 93) return {.object = object, .request = v1::GetAlarmRequest()};
  if (kind < 95) return with_id(v1::DeleteAlarmRequest());
  if (kind < 98) {
    if (dice_->OneIn(2)) return Acknowledge(object, Token(tokens), now_us);
    v1::ExtendAlarmLeaseRequest request;
    request.set_delivery_token(Token(tokens));
    if (dice_->OneIn(2)) request.mutable_lease()->set_seconds(dice_->Between(1, 60));
    return with_id(std::move(request));
  }
  if (kind < 99 || dice_->OneIn(2)) {
    v1::DeleteAllRequest request;
    request.set_keep_alarm(dice_->OneIn(2));
    return with_id(std::move(request));
  }
  return with_id(v1::CleanupRequest());
}

}  // namespace holdfast::property
