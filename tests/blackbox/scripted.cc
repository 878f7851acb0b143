#include "tests/blackbox/scripted.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/wire_time.h"

namespace holdfast::testing {
namespace {

using actors::ObjectClass;
using actors::SetTimestamp;
using actors::Task;

// The interval at which a step that awaits a signal, or a reader of notes, looks again.
constexpr absl::Duration kLookAgain = absl::Milliseconds(2);

std::shared_ptr<Board> BoardOf(const storage::ObjectKey& key) {
  static auto* const boards = new std::map<std::pair<std::string, std::string>, std::shared_ptr<Board>>;
  storage::ObjectId id;
  key.Decode(&id);
  auto& board = (*boards)[{id.ns, id.name}];
  if (board == nullptr) board = std::make_shared<Board>();
  return board;
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::Duration DurationOf(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace

World& TheWorld() {
  static auto* const world = new World;
  return *world;
}

// --- Scripted

Scripted::Scripted(actors::ObjectContext* context)
    : Object(context), board_(BoardOf(context->key())), instance_(++board_->instances) {}

const ObjectClass& Scripted::Class() {
  static const auto* const object_class =
      new ObjectClass{.name = "Scripted", .make = actors::Make<Scripted>, .migrations = {}};
  return *object_class;
}

v1::Note* Scripted::AddNote(const std::string& text) {
  v1::Note& note = board_->notes.emplace_back();
  note.set_text(text);
  SetTimestamp(absl::ToUnixMicros(TheWorld().clock.Wall()), note.mutable_time());
  note.set_instance(instance_);
  return &note;
}

Task<absl::Status> Scripted::Load() {
  const v1::Script script = board_->load;
  for (const v1::Step& step : script.steps()) {
    if (absl::Status status = co_await TakeStep(step, nullptr); !status.ok()) co_return status;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Scripted::OnAlarm(const actors::AlarmRun& run) {
  v1::Note* const note = AddNote("alarm");
  SetTimestamp(absl::ToUnixMicros(run.scheduled_time), note->mutable_scheduled_time());
  note->set_retry_count(run.retry_count);
  v1::Script script;
  if (!board_->alarms.empty()) {
    script = std::move(board_->alarms.front());
    board_->alarms.pop_front();
  }
  for (const v1::Step& step : script.steps()) {
    if (absl::Status status = co_await TakeStep(step, nullptr); !status.ok()) co_return status;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Scripted::Run(const v1::RunRequest& request, v1::RunResponse* response) {
  response->set_instance(instance_);
  for (const v1::Step& step : request.steps()) {
    if (absl::Status status = co_await TakeStep(step, response); !status.ok()) co_return status;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Scripted::TakeStep(const v1::Step& step, v1::RunResponse* response) {
  v1::Result result;
  switch (step.step_case()) {
    case v1::Step::kPut:
      co_return storage().Put(step.put().key(), step.put().value());
    case v1::Step::kGet: {
      auto value = co_await storage().Get(step.get());
      if (!value.ok()) co_return value.status();
      result.set_found(value->has_value());
      if (*value) result.set_value(**value);
      break;
    }
    case v1::Step::kDelete: {
      const std::vector<std::string> keys = {step.delete_()};
      auto deleted = co_await storage().Delete(keys);
      if (!deleted.ok()) co_return deleted.status();
      result.set_found(*deleted == 1);
      break;
    }
    case v1::Step::kIncrement: {
      auto value = co_await storage().Get(step.increment());
      if (!value.ok()) co_return value.status();
      int64_t number = 0;
      if (*value && !absl::SimpleAtoi(**value, &number)) co_return absl::InternalError("no number");
      if (absl::Status status = storage().Put(step.increment(), absl::StrCat(++number)); !status.ok()) co_return status;
      result.set_number(number);
      break;
    }
    case v1::Step::kSetAlarm:
      if (step.set_alarm().has_at()) {
        storage().SetAlarm(TimeOf(step.set_alarm().at()));
      } else {
        storage().SetAlarm(Now() + DurationOf(step.set_alarm().in()));
      }
      co_return absl::OkStatus();
    case v1::Step::kWait:
      co_await Wait(DurationOf(step.wait()));
      co_return absl::OkStatus();
    case v1::Step::kAwaitSignal:
      while (!board_->signals.contains(step.await_signal())) co_await Wait(kLookAgain);
      co_return absl::OkStatus();
    case v1::Step::kFail:
      co_return absl::Status(static_cast<absl::StatusCode>(step.fail().code()), step.fail().message());
    case v1::Step::kNote:
      AddNote(step.note());
      co_return absl::OkStatus();
    case v1::Step::STEP_NOT_SET:
      co_return absl::InvalidArgumentError("an empty step");
  }
  if (response != nullptr) *response->add_results() = std::move(result);
  co_return absl::OkStatus();
}

// --- ScriptBoard

ScriptBoard::ScriptBoard(actors::ObjectContext* context) : Object(context), board_(BoardOf(context->key())) {}

const ObjectClass& ScriptBoard::Class() {
  static const auto* const object_class =
      new ObjectClass{.name = "ScriptBoard", .make = actors::Make<ScriptBoard>, .migrations = {}};
  return *object_class;
}

Task<absl::Status> ScriptBoard::SetScripts(const v1::SetScriptsRequest& request, v1::SetScriptsResponse*) {
  board_->load = request.load();
  board_->alarms.assign(request.alarms().begin(), request.alarms().end());
  co_return absl::OkStatus();
}

Task<absl::Status> ScriptBoard::ReadNotes(const v1::ReadNotesRequest& request, v1::ReadNotesResponse* response) {
  while (true) {
    response->clear_notes();
    for (const v1::Note& note : board_->notes) {
      if (request.text().empty() || note.text() == request.text()) *response->add_notes() = note;
    }
    if (response->notes_size() >= request.count()) co_return absl::OkStatus();
    co_await Wait(kLookAgain);
  }
}

Task<absl::Status> ScriptBoard::Signal(const v1::SignalRequest& request, v1::SignalResponse*) {
  board_->signals.insert(request.signal());
  co_return absl::OkStatus();
}

Task<absl::Status> ScriptBoard::AdvanceClock(const v1::AdvanceClockRequest& request,
                                             v1::AdvanceClockResponse* response) {
  TheWorld().clock.Advance(DurationOf(request.by()));
  SetTimestamp(absl::ToUnixMicros(TheWorld().clock.Wall()), response->mutable_time());
  co_return absl::OkStatus();
}

Task<absl::Status> ScriptBoard::FailCommits(const v1::FailCommitsRequest& request, v1::FailCommitsResponse*) {
  TheWorld().fault.apply = request.apply();
  TheWorld().fault.fail = true;
  co_return absl::OkStatus();
}

}  // namespace holdfast::testing
