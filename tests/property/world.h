// A plain model, in memory, of an object of class Object.
//
// A request without an answer may have happened or not. The test then goes on with several worlds, and each later reply
// strikes out the worlds that it contradicts. When none is left, the server and the model differ.

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

// The quota of an object in this test, which is small.
inline constexpr int64_t kObjectBytesMax = 5 << 20;

struct Operation {
  std::string object;
  Request request;
  // Set for a ListEntries that continues: the key where it continues, and how many entries are left of its limit.
  std::optional<std::string> after_key;
  int64_t left = std::numeric_limits<int64_t>::max();
  // The reply had a page token.
  bool token_seen = false;
  // The server refused the request because the reply is too large for the record of its id; the model believes that
  // where the size is near the bound.
  bool record_too_large = false;

  std::string request_id() const;
  std::string DebugString() const;
};

struct Reply {
  absl::StatusCode code = absl::StatusCode::kOk;
  v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
  // The serialized message; the token of a page is reduced to whether there is one.
  std::string bytes;
  // The error's message for people; not compared.
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
    // The alarm is due at that time or, if it is a retry, at some time between the two.
    int64_t due_min_us = 0;
    int64_t due_max_us = 0;

    bool operator==(const Alarm&) const = default;
  };
  // A delivery that is out.
  struct Lease {
    int64_t scheduled_us = 0;
    int32_t retry_count = 0;
    int64_t expire_us = 0;
    // Empty if nobody has seen the token.
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
  // The object may exist or not, depending on the progress of the server.
  bool exists_unsure = false;

  // The bytes of keys and values; the model does not know those of the SQL database.
  int64_t bytes() const;
  bool SameAs(const World& other) const;
  // Returns whether the object stores nothing. Such an object ceases to exist when it leaves memory, which may be at
  // any time.
  bool StoresNothing(int64_t now_us) const;

  // Ends the lease if it has expired by then.
  void SettleLease(int64_t now_us);
  // Ends the delivery as failed at that time.
  void FailDelivery(int64_t now_us);
  // The alarm that a client sees.
  std::optional<int64_t> VisibleAlarm(int64_t now_us) const;
};

// Applies the request to the world at that time, and returns the reply.
Reply Apply(const Operation& operation, int64_t now_us, World* world);

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_WORLD_H_
