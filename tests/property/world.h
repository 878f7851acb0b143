// What an object of class Object must be: a plain model of one, in memory.
//
// A request that got no answer may have happened or not; the test then goes on with several worlds, of which each reply
// that comes later strikes out those that it contradicts. When none is left, the server and the model differ.

#ifndef HOLDFAST_TESTS_PROPERTY_WORLD_H_
#define HOLDFAST_TESTS_PROPERTY_WORLD_H_

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "holdfast/v1/errors.pb.h"
#include "tests/property/methods.h"
#include "tests/property/sql_model.h"

namespace holdfast::property {

// What an object may hold at most; the test's own, small.
inline constexpr int64_t kObjectBytesMax = 5 << 20;

struct Operation {
  std::string object;
  Request request;
  // Of a ListEntries that goes on: where, and how many are left of its limit.
  std::optional<std::string> after_key;
  int64_t left = std::numeric_limits<int64_t>::max();
  // It gave a page token.
  bool token_seen = false;
  // It was refused because the reply is too large for the record of its id; believed where that is near.
  bool record_too_large = false;

  std::string request_id() const;
  std::string DebugString() const;
};

struct Reply {
  absl::StatusCode code = absl::StatusCode::kOk;
  v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
  // The message; of a page the token is only there or not.
  std::string bytes;
  // Of an error, for people; not compared.
  std::string message;

  bool operator==(const Reply& other) const {
    return code == other.code && reason == other.reason && bytes == other.bytes;
  }
  std::string DebugString() const;
};

struct World {
  // Shared, since a world is copied often and its values may be large.
  using Value = std::shared_ptr<const std::string>;
  struct Alarm {
    int64_t scheduled_us = 0;
    int32_t retry_count = 0;
    // When it is due: at that time, or, as a retry, at some time between.
    int64_t due_min_us = 0;
    int64_t due_max_us = 0;

    bool operator==(const Alarm&) const = default;
  };
  // A delivery that is out.
  struct Lease {
    int64_t scheduled_us = 0;
    int32_t retry_count = 0;
    int64_t expire_us = 0;
    // Empty: nobody has seen it.
    std::string token;
    bool retry_stopped = false;

    bool operator==(const Lease&) const = default;
  };
  struct Record {
    std::string method;
    std::string request_hash;
    std::string reply;

    bool operator==(const Record&) const = default;
  };

  std::map<std::string, Value> entries;
  std::optional<Alarm> alarm;
  std::optional<Lease> lease;
  std::map<std::string, Record> records;
  SqlFilePtr sql;
  bool exists = false;
  // Whether it exists depends on what the server has got round to.
  bool exists_unsure = false;

  // Of keys and values; how many those of the SQL database are is the server's affair.
  int64_t bytes() const;
  bool SameAs(const World& other) const;
  // Such an object ceases to exist when it leaves memory, which may be at any time.
  bool StoresNothing(int64_t now_us) const;

  // Ends a lease that has expired by then.
  void SettleLease(int64_t now_us);
  // The delivery ends, failed at that time.
  void FailDelivery(int64_t now_us);
  // What a client sees of the alarm.
  std::optional<int64_t> VisibleAlarm(int64_t now_us) const;
};

// What the request does to the world at that time, and what it is answered with.
Reply Apply(const Operation& operation, int64_t now_us, World* world);

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_WORLD_H_
