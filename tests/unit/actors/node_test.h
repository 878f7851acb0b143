// The fixture of tests with objects: a node over a store in memory, requests to it, and crashes.
//
// The fixture keeps a request until it is done, and destroys it before the node if that never happens; the test holds
// the request's outcome (Sent), which outlives both.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_NODE_TEST_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_NODE_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/recorded_request.h"
#include "actors/wire/deterministic.h"
#include "actors/wire/errors.h"
#include "google/rpc/error_details.pb.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "holdfast/v1/object_service.pb.h"
#include "storage/node/alarm_index.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/memory_store.h"
#include "tests/simulation/node.h"
#include "tests/simulation/recording_store.h"
#include "tests/simulation/seed.h"

namespace holdfast::actors {

// The outcome of a request.
struct Outcome {
  bool done() const { return status.has_value(); }
  bool ok() const { return done() && status->ok(); }

  bool begun = false;
  std::optional<absl::Status> status;
  absl::Time done_time;
  int done_as = 0;  // position among all requests of the fixture that are done; 1 is the first
};

template <typename Response>
struct Sent : Outcome {
  Response response;
};

struct SendOptions {
  absl::Time deadline = absl::InfiniteFuture();
  size_t bytes = 0;
  // The return value of CheckReply.
  absl::Status reply_check;
  // Delivery::times; the test keeps it until the request is done.
  TurnTimes* times = nullptr;
};

// A request with a request_id, and the names that its record uses.
struct Recording {
  std::string request_id;
  std::string method;
  std::string request;
  std::function<std::string()> serialize_reply;
  std::function<bool(absl::string_view)> parse_reply;
};

class NodeTest : public ::testing::Test {
 protected:
  using Body = std::function<Task<absl::Status>(Object&)>;

  ~NodeTest() override { Crash(); }

  void TearDown() override {
    if (node != nullptr) EXPECT_FALSE(node->stuck()) << "something goes round without end";
  }

  // Begins a life of the node; the previous life, if there was one, ends in a crash.
  simulation::Node& Start() {
    Crash();
    node = std::make_unique<simulation::Node>(&recording, &clock, classes, options, families_max, seed, observer);
    EXPECT_TRUE(node->recovered().ok()) << node->recovered();
    return *node;
  }
  // Ends the node in a crash: everything that is not in the store is lost.
  void Crash() {
    if (node != nullptr) EXPECT_FALSE(node->stuck()) << "something goes round without end";
    waiting_.clear();
    node.reset();
  }

  static storage::ObjectKey Key(const ObjectClass& object_class, const std::string& name) {
    return storage::ObjectKey("default", object_class.name, name);
  }
  const Activation* Find(const ObjectClass& object_class, const std::string& name) {
    return node->host().Find(Key(object_class, name));
  }

  void SendBody(const ObjectClass& object_class, const std::string& name, Body body, std::shared_ptr<Outcome> outcome,
                const SendOptions& send_options = {}, std::optional<Recording> recording = {}) {
    SendBody(object_class, Key(object_class, name), std::move(body), std::move(outcome), send_options,
             std::move(recording));
  }
  void SendBody(const ObjectClass& object_class, const storage::ObjectKey& key, Body body,
                std::shared_ptr<Outcome> outcome, const SendOptions& send_options = {},
                std::optional<Recording> recording = {}) {
    auto request = std::make_unique<Request>(this, key, std::move(body), std::move(outcome));
    if (recording) request->record.emplace(*std::move(recording));
    request->deadline = send_options.deadline;
    request->bytes = send_options.bytes;
    request->reply_check = send_options.reply_check;
    request->times = send_options.times;
    Request* const raw = request.get();
    waiting_.emplace(raw, std::move(request));
    if (together_ != nullptr) {
      together_->push_back({&raw->key, &object_class, raw});
    } else {
      node->Deliver(raw->key, object_class, raw);
    }
  }
  // Delivers the requests that `send` sends together, when it has sent all of them.
  void Together(const std::function<void()>& send) { node->Deliver(Capture(send)); }
  // Returns the requests that `send` sends, for the test to deliver.
  std::vector<Addressed> Capture(const std::function<void()>& send) {
    std::vector<Addressed> captured;
    together_ = &captured;
    send();
    together_ = nullptr;
    return captured;
  }

  // A call of a handler of a class.
  template <typename Class, typename Req, typename Response>
  std::shared_ptr<Sent<Response>> Send(const std::string& name,
                                       Task<absl::Status> (Class::*handler)(const Req&, Response*), const Req& request,
                                       const SendOptions& send_options = {}) {
    return SendTo<Class>(Class::Class(), name, handler, request, send_options);
  }
  template <typename Class, typename Base, typename Req, typename Response>
  std::shared_ptr<Sent<Response>> SendTo(const ObjectClass& object_class, const std::string& name,
                                         Task<absl::Status> (Base::*handler)(const Req&, Response*), const Req& request,
                                         const SendOptions& send_options = {}) {
    auto sent = std::make_shared<Sent<Response>>();
    SendBody(
        object_class, name,
        [handler, request, sent](Object& object) {
          return (static_cast<Class&>(object).*handler)(request, &sent->response);
        },
        sent, send_options, RecordingOf(request, sent));
    return sent;
  }
  // Returns nothing if the request has no request_id.
  template <typename Req, typename Response>
  static std::optional<Recording> RecordingOf(const Req& request, const std::shared_ptr<Sent<Response>>& sent) {
    if constexpr (requires { request.request_id(); }) {
      if (!request.request_id().empty()) {
        return Recording{
            .request_id = request.request_id(),
            .method = Req::descriptor()->full_name(),
            .request = SerializeDeterministically(request),
            .serialize_reply = [sent] { return sent->response.SerializeAsString(); },
            .parse_reply =
                [sent](absl::string_view bytes) { return sent->response.ParseFromString(std::string(bytes)); }};
      }
    }
    return std::nullopt;
  }
  // Makes the call and runs the node until it is answered.
  template <typename Class, typename Req, typename Response>
  std::shared_ptr<Sent<Response>> Ask(const std::string& name,
                                      Task<absl::Status> (Class::*handler)(const Req&, Response*), const Req& request) {
    auto sent = Send(name, handler, request);
    node->Settle();
    EXPECT_TRUE(sent->done());
    return sent;
  }

  std::shared_ptr<Sent<v1::DeleteAllResponse>> SendDeleteAll(const ObjectClass& object_class, const std::string& name,
                                                             bool keep_alarm = false) {
    v1::DeleteAllRequest request;
    request.set_keep_alarm(keep_alarm);
    return SendTo<Object>(object_class, name, &Object::DeleteAll, request);
  }
  std::shared_ptr<Sent<v1::CleanupResponse>> SendCleanup(const ObjectClass& object_class, const std::string& name) {
    return SendTo<Object>(object_class, name, &Object::Cleanup, v1::CleanupRequest());
  }

  // --- The contents of the store
  std::optional<storage::v1::CatalogRecord> CatalogOf(const ObjectClass& object_class, const std::string& name) {
    const auto catalog = recording.Dump()["catalog"];
    auto it = catalog.find(Key(object_class, name).encoded());
    if (it == catalog.end()) return std::nullopt;
    storage::v1::CatalogRecord record;
    EXPECT_TRUE(record.ParseFromString(it->second));
    return record;
  }
  // Returns the keys of one object without the prefix, wherever they are stored.
  std::map<std::string, std::string> KeysOf(const ObjectClass& object_class, const std::string& name) {
    auto dump = recording.Dump();
    std::string prefix;
    storage::AppendUint16(&prefix, static_cast<uint16_t>(Key(object_class, name).shard()));
    prefix += Key(object_class, name).encoded();
    std::map<std::string, std::string> keys;
    for (const auto& [key, value] : dump["packed"]) {
      if (key.substr(0, prefix.size()) == prefix) keys.emplace(key.substr(prefix.size()), value);
    }
    const auto record = CatalogOf(object_class, name);
    if (record && record->family_generation() != 0) {
      EXPECT_TRUE(keys.empty()) << "in two places";
      const storage::ObjectId id{"default", object_class.name, name};
      keys = dump[storage::FamilyName(id, record->family_generation())];
    }
    return keys;
  }
  std::optional<storage::v1::ObjectHeader> HeaderOf(const ObjectClass& object_class, const std::string& name) {
    const auto keys = KeysOf(object_class, name);
    auto it = keys.find(std::string(1, storage::kObjectHeaderKind));
    if (it == keys.end()) return std::nullopt;
    storage::v1::ObjectHeader header;
    EXPECT_TRUE(header.ParseFromString(it->second));
    return header;
  }
  // Expects that every alarm in the index is that of its object, and the other way round.
  void ExpectAlarmIndexConsistent(const ObjectClass& object_class, const std::vector<std::string>& names) {
    std::map<std::string, int64_t> due;
    const auto dump = recording.Dump();
    for (const auto& [key, value] : dump.at("alarms")) {
      storage::AlarmEntry entry;
      ASSERT_TRUE(storage::ParseAlarmIndexKey(key, &entry));
      EXPECT_TRUE(due.emplace(entry.object, entry.due_us).second) << "two alarms of one object";
    }
    for (const std::string& name : names) {
      const auto keys = KeysOf(object_class, name);
      auto it = keys.find(std::string(1, storage::kAlarmKind));
      auto indexed = due.find(Key(object_class, name).encoded());
      ASSERT_EQ(it != keys.end(), indexed != due.end()) << name;
      if (it == keys.end()) continue;
      storage::v1::AlarmRecord record;
      EXPECT_TRUE(record.ParseFromString(it->second));
      EXPECT_EQ(record.due_time_us(), indexed->second) << name;
      due.erase(indexed);
    }
    EXPECT_TRUE(due.empty()) << "an alarm of an object that is not there";
  }
  // Expects that the families are those that the catalog names.
  void ExpectFamiliesConsistent() {
    const auto dump = recording.Dump();
    size_t named = 0;
    for (const auto& [key, value] : dump.at("catalog")) {
      storage::v1::CatalogRecord record;
      ASSERT_TRUE(record.ParseFromString(value));
      if (record.family_generation() == 0) continue;
      ++named;
      storage::ObjectId id;
      ASSERT_TRUE(storage::ObjectKey::FromEncoded(key).Decode(&id));
      EXPECT_TRUE(dump.contains(storage::FamilyName(id, record.family_generation()))) << id.name;
    }
    EXPECT_EQ(dump.size() - 4, named) << "families that no object has";
    if (node != nullptr) EXPECT_EQ(node->families().count(), static_cast<int>(named));
  }

  storage::MemoryStore store;
  simulation::RecordingStore recording{&store};
  simulation::VirtualClock clock;
  HostOptions options;
  int families_max = 0;
  storage::Observer* observer = nullptr;
  uint64_t seed = 1;
  std::vector<const ObjectClass*> classes;
  std::unique_ptr<simulation::Node> node;

 private:
  class Record final : public RecordedRequest {
   public:
    explicit Record(Recording recording) : recording_(std::move(recording)) {}
    absl::string_view request_id() const override { return recording_.request_id; }
    absl::string_view method() const override { return recording_.method; }
    std::string Hash() const override { return recording_.request; }
    std::string SerializeReply() const override { return recording_.serialize_reply(); }
    bool ParseReply(absl::string_view bytes) override { return recording_.parse_reply(bytes); }

   private:
    const Recording recording_;
  };

  class Request : public Delivery {
   public:
    Request(NodeTest* test, storage::ObjectKey object, Body body, std::shared_ptr<Outcome> outcome)
        : key(std::move(object)), test_(test), body_(std::move(body)), outcome_(std::move(outcome)) {}

    Task<absl::Status> Run(Object& object) override {
      outcome_->begun = true;
      return body_(object);
    }
    absl::Status CheckReply() override { return reply_check; }
    RecordedRequest* recorded() override { return record ? &*record : nullptr; }
    void Done(const absl::Status& status) override {
      EXPECT_FALSE(outcome_->done()) << "done twice";
      outcome_->status = status;
      outcome_->done_time = test_->clock.Now();
      outcome_->done_as = ++test_->done_count_;
      test_->waiting_.erase(this);  // deletes this
    }

    const storage::ObjectKey key;
    absl::Status reply_check;
    std::optional<Record> record;

   private:
    NodeTest* const test_;
    const Body body_;
    const std::shared_ptr<Outcome> outcome_;
  };

  std::map<Request*, std::unique_ptr<Request>> waiting_;
  int done_count_ = 0;
  std::vector<Addressed>* together_ = nullptr;  // set within Capture()
};

// --- Matchers for the outcome of a request

inline bool HasRetryInfo(const absl::Status& status) {
  return status.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value();
}

inline std::vector<std::string> ViolatedFields(const absl::Status& status) {
  std::vector<std::string> fields;
  google::rpc::BadRequest bad_request;
  auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  if (payload && bad_request.ParseFromString(std::string(*payload))) {
    for (const auto& violation : bad_request.field_violations()) fields.push_back(violation.field());
  }
  return fields;
}

// Use: `EXPECT_THAT(status, Fails(code, reason))`.
MATCHER_P2(Fails, code, reason,
           absl::StrCat("is an error ", absl::StatusCodeToString(code), " with ", v1::ErrorReason_Name(reason))) {
  *result_listener << arg.ToString() << " with " << v1::ErrorReason_Name(ReasonOf(arg));
  return arg.code() == code && ReasonOf(arg) == reason;
}

MATCHER(IsReset, "says that the object was reset") {
  *result_listener << arg.ToString();
  return arg.code() == absl::StatusCode::kUnavailable && ReasonOf(arg) == v1::ERROR_REASON_OBJECT_RESET &&
         HasRetryInfo(arg);
}

MATCHER_P(IsInvalid, field, absl::StrCat("names the field ", field)) {
  *result_listener << arg.ToString() << " of " << ::testing::PrintToString(ViolatedFields(arg));
  return arg.code() == absl::StatusCode::kInvalidArgument && ReasonOf(arg) == v1::ERROR_REASON_INVALID_FIELD &&
         ViolatedFields(arg) == std::vector<std::string>{field};
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_NODE_TEST_H_
