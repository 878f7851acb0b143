// An object for tests: each request brings the handler that it runs, so that a test shows the work of its objects.
//
//   auto sent = Send("a", [](ScriptedObject& object) -> Task<absl::Status> {
//     auto status = object.storage().Put("k", "v");
//     co_await object.Wait(absl::Seconds(1));
//     co_return status;
//   });
//
// The board has the functions for Load and OnAlarm. All objects share it, and every test has a new one.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_SCRIPTED_OBJECT_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_SCRIPTED_OBJECT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/object.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {

class ScriptedObject : public Object {
 public:
  using Script = std::function<Task<absl::Status>(ScriptedObject&)>;
  using AlarmScript = std::function<Task<absl::Status>(ScriptedObject&, const AlarmRun&)>;

  struct Board {
    Script load;
    AlarmScript alarm;
    size_t memory_bytes = 0;
    int instances = 0;
    int loads = 0;
    // The notes of the scripts, in order.
    std::vector<std::string> notes;
  };
  static Board& board() {
    static Board* const board = new Board;
    return *board;
  }

  explicit ScriptedObject(ObjectContext* context)
      : Object(context), instance(++board().instances), name(NameOf(context)) {}

  Task<absl::Status> Load() override {
    ++board().loads;
    const Script script = board().load;
    if (!script) co_return absl::OkStatus();
    co_return co_await script(*this);
  }
  Task<absl::Status> OnAlarm(const AlarmRun& run) override {
    const AlarmRun own_run = run;
    const AlarmScript script = board().alarm;
    if (!script) co_return absl::OkStatus();
    co_return co_await script(*this, own_run);
  }
  size_t MemoryBytes() const override { return board().memory_bytes; }

  using Object::AfterCommit;
  using Object::LeaveNoRecord;
  using Object::NextTurn;
  using Object::Now;
  using Object::random;
  using Object::storage;
  using Object::Wait;

  static void Note(std::string text) { board().notes.push_back(std::move(text)); }

  // The number of the instance in the test, from 1.
  const int instance;
  const std::string name;
  // A member that handlers change.
  int member = 0;

 private:
  static std::string NameOf(ObjectContext* context) {
    storage::ObjectId id;
    return context->key().Decode(&id) ? id.name : "";
  }
};

inline ObjectClass MakeScriptedClass(std::vector<Migration> migrations = {}, int32_t alarm_attempts_max = 0) {
  return ObjectClass{.name = "Scripted",
                     .make = Make<ScriptedObject>,
                     .migrations = std::move(migrations),
                     .alarm_attempts_max = alarm_attempts_max};
}

class ScriptedTest : public NodeTest {
 protected:
  using Script = ScriptedObject::Script;
  using Board = ScriptedObject::Board;

  ScriptedTest() {
    board() = Board();
    classes = {&scripted};
  }

  static Board& board() { return ScriptedObject::board(); }

  std::shared_ptr<Outcome> Send(const std::string& name, Script script, const SendOptions& send_options = {}) {
    auto outcome = std::make_shared<Outcome>();
    SendBody(
        scripted, name,
        [script = std::move(script)](Object& object) { return script(static_cast<ScriptedObject&>(object)); }, outcome,
        send_options);
    return outcome;
  }
  // A request with a request_id; `text` is its content, and the response is the script's reply.
  using ReplyScript = std::function<Task<absl::Status>(ScriptedObject&, std::string* reply)>;
  std::shared_ptr<Sent<std::string>> SendRecorded(const std::string& name, const std::string& request_id,
                                                  const std::string& text, ReplyScript script,
                                                  const SendOptions& send_options = {}) {
    return SendRecorded(Key(scripted, name), request_id, text, std::move(script), send_options);
  }
  std::shared_ptr<Sent<std::string>> SendRecorded(const storage::ObjectKey& object, const std::string& request_id,
                                                  const std::string& text, ReplyScript script,
                                                  const SendOptions& send_options = {}) {
    auto sent = std::make_shared<Sent<std::string>>();
    SendBody(
        scripted, object,
        [script = std::move(script), sent](Object& object) {
          return script(static_cast<ScriptedObject&>(object), &sent->response);
        },
        sent, send_options,
        Recording{.request_id = request_id,
                  .method = "Script",
                  .request = text,
                  .serialize_reply = [sent] { return sent->response; },
                  .parse_reply =
                      [sent](absl::string_view bytes) {
                        sent->response = std::string(bytes);
                        return true;
                      }});
    return sent;
  }
  // Sends the script and runs the node until the answer has come.
  absl::Status Ask(const std::string& name, Script script) {
    auto outcome = Send(name, std::move(script));
    node->Settle();
    EXPECT_TRUE(outcome->done());
    return outcome->status.value_or(absl::UnknownError("not done"));
  }

  std::shared_ptr<Outcome> SendPut(const std::string& name, const std::string& key, const std::string& value) {
    return Send(name, [key, value](ScriptedObject& object) -> Task<absl::Status> {
      co_return object.storage().Put(key, value);
    });
  }
  void Put(const std::string& name, const std::string& key, const std::string& value) {
    auto sent = SendPut(name, key, value);
    node->Settle();
    EXPECT_TRUE(sent->ok());
  }
  std::shared_ptr<Sent<std::optional<std::string>>> SendGet(const std::string& name, const std::string& key) {
    auto sent = std::make_shared<Sent<std::optional<std::string>>>();
    SendBody(
        scripted, name,
        [key, sent](Object& object) { return GetInto(static_cast<ScriptedObject&>(object), key, &sent->response); },
        sent);
    return sent;
  }
  std::optional<std::string> Get(const std::string& name, const std::string& key) {
    auto sent = SendGet(name, key);
    node->Settle();
    EXPECT_TRUE(sent->ok()) << (sent->done() ? sent->status->ToString() : "not done");
    return sent->response;
  }
  // Reads a number, adds one and writes it; the new number is the response.
  std::shared_ptr<Sent<int>> SendIncrement(const std::string& name, const std::string& key = "n") {
    auto sent = std::make_shared<Sent<int>>();
    SendBody(
        scripted, name,
        [key, sent](Object& object) { return Increment(static_cast<ScriptedObject&>(object), key, &sent->response); },
        sent);
    return sent;
  }
  // Returns the number of the instance that answers.
  int Instance(const std::string& name) {
    int instance = 0;
    EXPECT_TRUE(Ask(name, [&instance](ScriptedObject& object) -> Task<absl::Status> {
                  instance = object.instance;
                  co_return absl::OkStatus();
                }).ok());
    return instance;
  }
  void SetAlarm(const std::string& name, absl::Time time,
                storage::AlarmClock alarm_clock = storage::AlarmClock::kObject) {
    EXPECT_TRUE(Ask(name, [time, alarm_clock](ScriptedObject& object) -> Task<absl::Status> {
                  object.storage().SetAlarm(time, alarm_clock);
                  co_return absl::OkStatus();
                }).ok());
  }
  std::optional<absl::Time> AlarmOf(const std::string& name) {
    std::optional<absl::Time> alarm;
    EXPECT_TRUE(Ask(name, [&alarm](ScriptedObject& object) -> Task<absl::Status> {
                  alarm = object.storage().alarm();
                  co_return absl::OkStatus();
                }).ok());
    return alarm;
  }
  const Activation* Find(const std::string& name) { return NodeTest::Find(scripted, name); }

  ObjectClass scripted = MakeScriptedClass();

 private:
  static Task<absl::Status> GetInto(ScriptedObject& object, std::string key, std::optional<std::string>* response) {
    auto value = co_await object.storage().Get(key);
    if (!value.ok()) co_return value.status();
    *response = *value;
    co_return absl::OkStatus();
  }
  static Task<absl::Status> Increment(ScriptedObject& object, std::string key, int* response) {
    auto value = co_await object.storage().Get(key);
    if (!value.ok()) co_return value.status();
    int number = 0;
    if (*value && !absl::SimpleAtoi(**value, &number)) co_return absl::DataLossError("no number");
    *response = ++number;
    co_return object.storage().Put(key, absl::StrCat(number));
  }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_SCRIPTED_OBJECT_H_
