// A fixture for the tests of class RateLimiter: its calls, and the rows that it stores.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMITER_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMITER_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "actors/objects/rate_limiter.h"
#include "actors/wire/wire_time.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {

using Algorithm = v1::RateLimitAlgorithm;
inline constexpr Algorithm kLog = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG;
inline constexpr Algorithm kGcra = v1::RATE_LIMIT_ALGORITHM_GCRA;
inline constexpr Algorithm kFixed = v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW;

inline v1::RateLimit Limit(const std::string& key, int64_t limit, absl::Duration window = absl::Seconds(10),
                           Algorithm algorithm = kLog, int64_t cost = 1) {
  v1::RateLimit check;
  check.set_key(key);
  check.set_limit(limit);
  SetDuration(absl::ToInt64Microseconds(window), check.mutable_window());
  check.set_algorithm(algorithm);
  if (cost != 1) check.set_cost(cost);
  return check;
}

class RateLimiterTest : public NodeTest {
 protected:
  RateLimiterTest() { classes = {&RateLimiter::Class()}; }

  v1::CheckLimitResponse Check(const v1::RateLimit& check, bool peek = false, const std::string& name = "api") {
    v1::CheckLimitRequest request;
    *request.mutable_check() = check;
    request.set_peek(peek);
    auto sent = Ask(name, &RateLimiter::CheckLimit, request);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  v1::CheckLimitsResponse CheckMany(const std::vector<v1::RateLimit>& checks, bool peek = false) {
    v1::CheckLimitsRequest request;
    for (const v1::RateLimit& check : checks) *request.add_checks() = check;
    request.set_peek(peek);
    auto sent = Ask("api", &RateLimiter::CheckLimits, request);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  void Reset(const std::string& key) {
    v1::ResetLimitRequest request;
    request.set_key(key);
    EXPECT_TRUE(Ask("api", &RateLimiter::ResetLimit, request)->ok());
  }
  // Returns the numbers of stored rows of requests and of limits.
  std::pair<size_t, size_t> Rows() {
    std::pair<size_t, size_t> rows;
    for (const auto& [key, value] : KeysOf(RateLimiter::Class(), "api")) {
      if (key.substr(0, 3) == std::string("\x20\x00\x01", 3)) ++rows.first;
      if (key.substr(0, 3) == std::string("\x20\x00\x02", 3)) ++rows.second;
    }
    return rows;
  }
  size_t LogRows() { return Rows().first; }
  // Returns the stored rows of requests.
  std::vector<storage::v1::RequestRow> RequestRows(const std::string& name = "api") {
    std::vector<storage::v1::RequestRow> rows;
    for (const auto& [key, value] : KeysOf(RateLimiter::Class(), name)) {
      if (key.substr(0, 3) != std::string("\x20\x00\x01", 3)) continue;
      EXPECT_TRUE(rows.emplace_back().ParseFromString(value));
      EXPECT_EQ(rows.back().SerializeAsString(), value) << "the usage counts other bytes";
    }
    return rows;
  }
  // Returns the stored requests with a cost, by their times, of windows of this length, or of all.
  std::vector<std::pair<int64_t, int64_t>> LoggedRequests(int64_t window_us = 0) {
    std::vector<std::pair<int64_t, int64_t>> requests;
    for (const storage::v1::RequestRow& row : RequestRows()) {
      if (window_us != 0 && row.window_us() != window_us) continue;
      RequestLog log(row.window_us());
      EXPECT_TRUE(log.AddRow(row));
      for (size_t i = 0; i < log.size(); ++i) {
        if (log[i].cost > 0) requests.emplace_back(log[i].time_us, log[i].cost);
      }
    }
    return requests;
  }
  // Rewrites the stored data of the object like version 0 would have written them: each request has a row of its own.
  void MakeVersion0(const std::string& name = "api") {
    const auto keys = KeysOf(RateLimiter::Class(), name);
    storage::v1::ObjectHeader header = *HeaderOf(RateLimiter::Class(), name);
    header.set_schema_version(0);
    storage::WriteSet object;
    storage::v1::Usage* const usage = header.mutable_usage();
    const std::string table("\x20\x00\x01", 3);
    object.DeleteRange({table, storage::PrefixEnd(table)});
    int64_t row_count = 0;
    std::map<std::string, int64_t> sequences;  // of the last request of the window in a moment
    for (const auto& [key, value] : keys) {
      if (key.substr(0, 3) != table) continue;
      usage->set_size_bytes(usage->size_bytes() - static_cast<int64_t>(key.size() + value.size()));
      storage::v1::RequestRow row;
      EXPECT_TRUE(row.ParseFromString(value));
      RequestLog log(row.window_us());
      EXPECT_TRUE(log.AddRow(row));
      row.clear_later();
      for (size_t i = 0; i < log.size(); ++i) {
        std::string new_key = key.substr(0, key.size() - 2 * sizeof(int64_t));
        storage::AppendInt64(&new_key, log[i].time_us);
        row.set_time_us(log[i].time_us);
        row.set_sequence(sequences[new_key]++);
        row.set_cost(log[i].cost);
        storage::AppendInt64(&new_key, row.sequence());
        usage->set_size_bytes(usage->size_bytes() + static_cast<int64_t>(new_key.size() + row.ByteSizeLong()));
        object.Put(new_key, row.SerializeAsString());
        ++row_count;
      }
    }
    if (row_count > 0) (*usage->mutable_row_counts())[1] = row_count;
    object.Put(std::string(1, storage::kObjectHeaderKind), header.SerializeAsString());
    WriteToStore(object);
  }
  // Writes to the object in the store, which must not be in memory, and must be packed.
  void WriteToStore(storage::WriteSet object, const std::string& name = "api") {
    storage::Location packed{storage::FamilyId::kPacked, ""};
    storage::AppendUint16(&packed.prefix, static_cast<uint16_t>(Key(RateLimiter::Class(), name).shard()));
    packed.prefix += Key(RateLimiter::Class(), name).encoded();
    const storage::KeyspaceWrites writes[] = {{&packed, &object}};
    ASSERT_TRUE(store.CommitSync(writes).ok());
  }
  static v1::CheckLimitRequest CheckOf(const v1::RateLimit& check) {
    v1::CheckLimitRequest request;
    *request.mutable_check() = check;
    return request;
  }
  // Returns how many keys of objects were put or deleted.
  size_t Points() { return recording.points[storage::FamilyId::kPacked]; }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_RATE_LIMITER_FIXTURE_H_
