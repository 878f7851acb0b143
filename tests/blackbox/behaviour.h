// Fixtures of the black-box tests: a server, which is a process of its own, and calls to it.
//
// Tests of a Behaviour run against holdfastd, and against the test server with its store in memory. Tests of a
// ScriptedBehaviour run against the test server with either store, and may script objects and move the clock. Tests
// that kill or restart the server run on RocksDB only.

#ifndef HOLDFAST_TESTS_BLACKBOX_BEHAVIOUR_H_
#define HOLDFAST_TESTS_BLACKBOX_BEHAVIOUR_H_

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/testing/v1/script.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/requests.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::blackbox {

namespace script = ::holdfast::testing::v1;

using ObjectStub = v1::ObjectService::Stub;
using ScriptStub = script::ScriptService::Stub;
using Pairs = std::vector<std::pair<std::string, std::string>>;
using testing::DetailOf;
using testing::FieldOf;
using testing::For;
using testing::ReasonOf;
using testing::Reply;

// The longest wait for something that should happen soon.
inline constexpr absl::Duration kSoon = absl::Seconds(20);

::testing::AssertionResult IsOk(const grpc::Status& status);
template <typename Response>
::testing::AssertionResult IsOk(const Reply<Response>& reply) {
  return IsOk(reply.status);
}
// Checks that the error is as in errors.proto: this code and reason, with RetryInfo if and only if that reason has it.
::testing::AssertionResult Fails(const grpc::Status& status, grpc::StatusCode code, absl::string_view reason);
// Checks for INVALID_ARGUMENT that names a field with this prefix.
::testing::AssertionResult IsInvalid(const grpc::Status& status, absl::string_view field = "");

google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);
absl::Time FromProto(const google::protobuf::Timestamp& time);

v1::PutEntriesRequest PutRequest(const std::string& name, const Pairs& entries);

class ServerTest : public ::testing::Test {
 protected:
  // The server program of this test.
  virtual testing::ServerProgram Program() const = 0;

  // Starts a server, on the data that the last one left on disk, if there was one.
  void Start(const std::string& config = "", const std::vector<std::string>& arguments = {});
  void Kill() { server_->Kill(); }

  template <typename Base, typename Request, typename Response>
  Reply<Response> Call(grpc::Status (Base::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request) {
    Base stub(channel_);
    return testing::Invoke(stub, method, request, Timeout());
  }
  // Makes the call without waiting for the reply.
  template <typename Base, typename Request, typename Response>
  std::future<Reply<Response>> Send(grpc::Status (Base::*method)(grpc::ClientContext*, const Request&, Response*),
                                    const Request& request) {
    return std::async(std::launch::async, [channel = channel_, timeout = Timeout(), method, request] {
      Base stub(channel);
      return testing::Invoke(stub, method, request, timeout);
    });
  }
  // Polls until `true_at_last` returns true, and fails the test if that takes longer than kSoon.
  void WaitUntil(absl::FunctionRef<bool()> true_at_last);

  // --- Calls to objects of class "Object", or of `object_class`
  grpc::Status Put(const std::string& name, const Pairs& entries);
  grpc::Status Put(const std::string& name, const std::string& key, const std::string& value);
  std::optional<std::string> Get(const std::string& name, const std::string& key);
  Pairs All(const std::string& name, const std::string& object_class = "");
  std::string EtagOf(const std::string& name, const std::string& key);
  grpc::Status SetAlarm(const std::string& name, absl::Time time);
  std::optional<absl::Time> AlarmOf(const std::string& name, const std::string& object_class = "");
  v1::DescribeObjectResponse Describe(const std::string& name, const std::string& object_class = "");
  void Passivate(const std::string& name, const std::string& object_class = "");

  // Deadlines follow the server's clock, which may have been moved.
  std::chrono::milliseconds Timeout() const { return absl::ToChronoMilliseconds(kSoon + advanced_); }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<testing::ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_;
  absl::Duration advanced_;
};

// A fixture with the test server, which runs scripts.
class ScriptTest : public ServerTest {
 protected:
  using Steps = std::vector<script::Step>;

  // Parses a step such as `put { key: "a" value: "1" }`.
  static script::Step Step(const std::string& text);
  static script::Script Script(const std::vector<std::string>& steps);
  static script::RunRequest RunRequest(const std::string& name, const std::vector<std::string>& steps);
  Reply<script::RunResponse> Run(const std::string& name, const std::vector<std::string>& steps);
  std::future<Reply<script::RunResponse>> SendRun(const std::string& name, const std::vector<std::string>& steps);

  void SetLoad(const std::string& name, const std::vector<std::string>& steps);
  // Sets the scripts of the next runs of the alarm, one for each run.
  void SetAlarmScripts(const std::string& name, const std::vector<std::vector<std::string>>& scripts);
  // Waits until there are `count` notes with this text (any text, if empty).
  std::vector<script::Note> Notes(const std::string& name, const std::string& text = "", int count = 0);
  std::vector<std::string> NoteTexts(const std::string& name);
  void Signal(const std::string& name, const std::string& signal);
  // Moves the server's clock forward, and returns its new time.
  absl::Time Advance(absl::Duration by);
  absl::Time ServerNow() { return Advance(absl::ZeroDuration()); }
  // Moves the clock forward to `time`, or not at all if it is that late already.
  absl::Time AdvanceTo(absl::Time time) { return Advance(std::max(absl::ZeroDuration(), time - ServerNow())); }
  void FailCommits(bool apply);
};

enum class StoreKind { kRocksDb, kMemory };
inline void PrintTo(StoreKind kind, std::ostream* out) { *out << (kind == StoreKind::kRocksDb ? "RocksDb" : "Memory"); }

class Behaviour : public ServerTest, public ::testing::WithParamInterface<StoreKind> {
 protected:
  testing::ServerProgram Program() const override;
  void SetUp() override { Start(); }
};

class ScriptedBehaviour : public ScriptTest, public ::testing::WithParamInterface<StoreKind> {
 protected:
  testing::ServerProgram Program() const override;
  void SetUp() override { Start(); }
};

// Runs on RocksDB, whose data outlive the process.
class KillBehaviour : public ServerTest {
 protected:
  testing::ServerProgram Program() const override { return testing::Holdfastd(); }
  void SetUp() override { Start(); }
};
class ScriptedKillBehaviour : public ScriptTest {
 protected:
  testing::ServerProgram Program() const override;
  void SetUp() override { Start(); }
};

std::string StoreName(const ::testing::TestParamInfo<StoreKind>& info);

}  // namespace holdfast::blackbox

#endif  // HOLDFAST_TESTS_BLACKBOX_BEHAVIOUR_H_
