#include "tests/blackbox/behaviour.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/time_util.h"

namespace holdfast::blackbox {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

constexpr absl::Duration kLookAgain = absl::Milliseconds(2);

testing::ServerProgram TestServer(StoreKind store) {
  testing::ServerProgram program = {TEST_SERVER_PATH};
  if (store == StoreKind::kMemory) program.arguments.push_back("--in-memory");
  return program;
}

std::string ToString(const grpc::Status& status) {
  return absl::StrCat("code ", status.error_code(), ", reason \"", ReasonOf(status), "\", field \"", FieldOf(status),
                      "\": ", status.error_message());
}

// Returns whether errors.proto says "with RetryInfo" about the reason.
bool IsRetryable(absl::string_view reason) {
  for (absl::string_view retryable :
       {"MAILBOX_FULL", "SERVER_OVERLOADED", "DISK_FULL", "STARTING", "DRAINING", "OBJECT_RESET"}) {
    if (reason == retryable) return true;
  }
  return false;
}

}  // namespace

AssertionResult IsOk(const grpc::Status& status) {
  if (status.ok()) return AssertionSuccess();
  return AssertionFailure() << ToString(status);
}

AssertionResult Fails(const grpc::Status& status, grpc::StatusCode code, absl::string_view reason) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  const bool retry_info = DetailOf<google::rpc::RetryInfo>(status).has_retry_delay();
  google::rpc::Status wire;
  wire.ParseFromString(status.error_details());
  if (status.error_code() == code && info.reason() == reason && info.domain() == "holdfast" &&
      retry_info == IsRetryable(reason) && wire.code() == code && wire.message() == status.error_message() &&
      !status.error_message().empty() && status.error_message().size() <= 1024 &&
      status.error_details().size() <= 4096) {
    return AssertionSuccess();
  }
  return AssertionFailure() << "expected code " << code << ", " << reason << "; " << ToString(status)
                            << (retry_info ? ", with" : ", without")
                            << " RetryInfo; details: " << wire.ShortDebugString();
}

AssertionResult IsInvalid(const grpc::Status& status, absl::string_view field) {
  if (AssertionResult fails = Fails(status, grpc::StatusCode::INVALID_ARGUMENT, "INVALID_FIELD"); !fails) return fails;
  if (!FieldOf(status).empty() && absl::StartsWith(FieldOf(status), field)) return AssertionSuccess();
  return AssertionFailure() << "expected the field " << field << "; " << ToString(status);
}

google::protobuf::Timestamp ToProto(absl::Time time) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  return google::protobuf::util::TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(duration));
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixMicros(google::protobuf::util::TimeUtil::TimestampToMicroseconds(time));
}

v1::PutEntriesRequest PutRequest(const std::string& name, const Pairs& entries) {
  auto request = For<v1::PutEntriesRequest>(name);
  for (const auto& [key, value] : entries) {
    auto* const entry = request.add_entries();
    entry->set_key(key);
    entry->set_value(value);
  }
  return request;
}

std::string StoreName(const ::testing::TestParamInfo<StoreKind>& info) {
  return info.param == StoreKind::kRocksDb ? "RocksDb" : "Memory";
}

testing::ServerProgram Behaviour::Program() const {
  return GetParam() == StoreKind::kRocksDb ? testing::Holdfastd() : TestServer(StoreKind::kMemory);
}
testing::ServerProgram ScriptedBehaviour::Program() const { return TestServer(GetParam()); }
testing::ServerProgram ScriptedKillBehaviour::Program() const { return TestServer(StoreKind::kRocksDb); }

// --- ServerTest

void ServerTest::Start(const std::string& config, const std::vector<std::string>& arguments) {
  server_ = nullptr;
  testing::ServerProgram program = Program();
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  server_ = std::make_unique<testing::ServerProcess>(directory_.path() + "/data", config, "", program);
  channel_ = server_->NewChannel();
}

void ServerTest::WaitUntil(absl::FunctionRef<bool()> true_at_last) {
  const absl::Time until = absl::Now() + kSoon;
  while (!true_at_last()) {
    ASSERT_LT(absl::Now(), until);
    absl::SleepFor(kLookAgain);
  }
}

grpc::Status ServerTest::Put(const std::string& name, const Pairs& entries) {
  return Call(&ObjectStub::PutEntries, PutRequest(name, entries)).status;
}

grpc::Status ServerTest::Put(const std::string& name, const std::string& key, const std::string& value) {
  return Put(name, {{key, value}});
}

std::optional<std::string> ServerTest::Get(const std::string& name, const std::string& key) {
  auto request = For<v1::GetEntriesRequest>(name);
  request.add_keys(key);
  const auto reply = Call(&ObjectStub::GetEntries, request);
  EXPECT_TRUE(IsOk(reply));
  if (reply->entries().empty()) return std::nullopt;
  EXPECT_EQ(reply->entries_size(), 1);
  EXPECT_EQ(reply->entries(0).key(), key);
  return reply->entries(0).value();
}

std::string ServerTest::EtagOf(const std::string& name, const std::string& key) {
  auto request = For<v1::GetEntriesRequest>(name);
  request.add_keys(key);
  const auto reply = Call(&ObjectStub::GetEntries, request);
  EXPECT_TRUE(IsOk(reply));
  return reply->entries().empty() ? "" : reply->entries(0).etag();
}

Pairs ServerTest::All(const std::string& name, const std::string& object_class) {
  auto request = For<v1::ListEntriesRequest>(name, object_class);
  Pairs all;
  do {
    const auto page = Call(&ObjectStub::ListEntries, request);
    EXPECT_TRUE(IsOk(page));
    for (const auto& entry : page->entries()) all.emplace_back(entry.key(), entry.value());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return all;
}

grpc::Status ServerTest::SetAlarm(const std::string& name, absl::Time time) {
  auto request = For<v1::SetAlarmRequest>(name);
  *request.mutable_scheduled_time() = ToProto(time);
  return Call(&ObjectStub::SetAlarm, request).status;
}

std::optional<absl::Time> ServerTest::AlarmOf(const std::string& name, const std::string& object_class) {
  const auto reply = Call(&ObjectStub::GetAlarm, For<v1::GetAlarmRequest>(name, object_class));
  EXPECT_TRUE(IsOk(reply));
  if (!reply->has_scheduled_time()) return std::nullopt;
  return FromProto(reply->scheduled_time());
}

v1::DescribeObjectResponse ServerTest::Describe(const std::string& name, const std::string& object_class) {
  const auto reply = Call(&ObjectStub::DescribeObject, For<v1::DescribeObjectRequest>(name, object_class));
  EXPECT_TRUE(IsOk(reply));
  return reply.response;
}

void ServerTest::Passivate(const std::string& name, const std::string& object_class) {
  // The server itself may load the object again, to move it to a family for instance.
  WaitUntil([&] {
    EXPECT_TRUE(IsOk(Call(&ObjectStub::PassivateObject, For<v1::PassivateObjectRequest>(name, object_class))));
    return Describe(name, object_class).activation_state() == v1::ACTIVATION_STATE_INACTIVE;
  });
}

// --- ScriptTest

script::Step ScriptTest::Step(const std::string& text) {
  script::Step step;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &step)) << text;
  return step;
}

script::Script ScriptTest::Script(const std::vector<std::string>& steps) {
  script::Script script;
  for (const std::string& step : steps) *script.add_steps() = Step(step);
  return script;
}

script::RunRequest ScriptTest::RunRequest(const std::string& name, const std::vector<std::string>& steps) {
  auto request = For<script::RunRequest>(name);
  *request.mutable_steps() = Script(steps).steps();
  return request;
}

Reply<script::RunResponse> ScriptTest::Run(const std::string& name, const std::vector<std::string>& steps) {
  return Call(&ScriptStub::Run, RunRequest(name, steps));
}

std::future<Reply<script::RunResponse>> ScriptTest::SendRun(const std::string& name,
                                                            const std::vector<std::string>& steps) {
  return Send(&ScriptStub::Run, RunRequest(name, steps));
}

void ScriptTest::SetLoad(const std::string& name, const std::vector<std::string>& steps) {
  auto request = For<script::SetScriptsRequest>(name);
  *request.mutable_load() = Script(steps);
  EXPECT_TRUE(IsOk(Call(&ScriptStub::SetScripts, request)));
}

void ScriptTest::SetAlarmScripts(const std::string& name, const std::vector<std::vector<std::string>>& scripts) {
  auto request = For<script::SetScriptsRequest>(name);
  for (const auto& steps : scripts) *request.add_alarms() = Script(steps);
  EXPECT_TRUE(IsOk(Call(&ScriptStub::SetScripts, request)));
}

std::vector<script::Note> ScriptTest::Notes(const std::string& name, const std::string& text, int count) {
  auto request = For<script::ReadNotesRequest>(name);
  request.set_text(text);
  request.set_count(count);
  const auto reply = Call(&ScriptStub::ReadNotes, request);
  EXPECT_TRUE(IsOk(reply)) << "waiting for " << count << " \"" << text << "\"";
  return {reply->notes().begin(), reply->notes().end()};
}

std::vector<std::string> ScriptTest::NoteTexts(const std::string& name) {
  std::vector<std::string> texts;
  for (const script::Note& note : Notes(name)) texts.push_back(note.text());
  return texts;
}

void ScriptTest::Signal(const std::string& name, const std::string& signal) {
  auto request = For<script::SignalRequest>(name);
  request.set_signal(signal);
  EXPECT_TRUE(IsOk(Call(&ScriptStub::Signal, request)));
}

absl::Time ScriptTest::Advance(absl::Duration by) {
  auto request = For<script::AdvanceClockRequest>("clock");
  *request.mutable_by() = ToProto(by);
  advanced_ += by;
  const auto reply = Call(&ScriptStub::AdvanceClock, request);
  EXPECT_TRUE(IsOk(reply));
  return FromProto(reply->time());
}

void ScriptTest::FailCommits(bool apply) {
  auto request = For<script::FailCommitsRequest>("disk");
  request.set_apply(apply);
  EXPECT_TRUE(IsOk(Call(&ScriptStub::FailCommits, request)));
}

// --- The parameters of suites that run on both stores

INSTANTIATE_TEST_SUITE_P(Stores, Behaviour, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);
INSTANTIATE_TEST_SUITE_P(Stores, ScriptedBehaviour, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory),
                         StoreName);

}  // namespace holdfast::blackbox
