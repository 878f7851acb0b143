// The object classes that ScriptService drives. An object of class "ScriptBoard" answers beside the "Scripted" of the
// same name, and has its scripts, notes and signals.

#ifndef HOLDFAST_TESTS_BLACKBOX_SCRIPTED_H_
#define HOLDFAST_TESTS_BLACKBOX_SCRIPTED_H_

#include <atomic>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "holdfast/testing/v1/script.pb.h"
#include "tests/blackbox/fault_store.h"

namespace holdfast::testing {

// The system's clock, which a test moves forward. Any thread may use it.
class MovedClock : public actors::Clock {
 public:
  absl::Time Wall() const override { return absl::Now() + absl::Microseconds(moved_us_.load()); }
  absl::Time Steady() const override { return actors::SteadyNow() + absl::Microseconds(moved_us_.load()); }
  void Advance(absl::Duration by) { moved_us_ += absl::ToInt64Microseconds(by); }

 private:
  std::atomic<int64_t> moved_us_ = 0;
};

// The parts of the server that handlers reach beyond their objects.
struct World {
  MovedClock clock;
  Fault fault;
};
World& TheWorld();

// The scripts and notes of one object. There is no lock: the test server has one executor, and only its thread uses a
// board.
struct Board {
  v1::Script load;
  std::deque<v1::Script> alarms;
  std::vector<v1::Note> notes;
  std::set<std::string> signals;
  int instances = 0;
};

class Scripted : public actors::Object {
 public:
  explicit Scripted(actors::ObjectContext* context);
  static const actors::ObjectClass& Class();

  actors::Task<absl::Status> Load() override;
  actors::Task<absl::Status> OnAlarm(const actors::AlarmRun& run) override;
  actors::Task<absl::Status> Run(const v1::RunRequest& request, v1::RunResponse* response);

 private:
  // Without a request `response` is null.
  actors::Task<absl::Status> TakeStep(const v1::Step& step, v1::RunResponse* response);
  v1::Note* AddNote(const std::string& text);

  const std::shared_ptr<Board> board_;
  const int instance_;
};

class ScriptBoard : public actors::Object {
 public:
  explicit ScriptBoard(actors::ObjectContext* context);
  static const actors::ObjectClass& Class();

  actors::Task<absl::Status> SetScripts(const v1::SetScriptsRequest& request, v1::SetScriptsResponse* response);
  actors::Task<absl::Status> ReadNotes(const v1::ReadNotesRequest& request, v1::ReadNotesResponse* response);
  actors::Task<absl::Status> Signal(const v1::SignalRequest& request, v1::SignalResponse* response);
  actors::Task<absl::Status> AdvanceClock(const v1::AdvanceClockRequest& request, v1::AdvanceClockResponse* response);
  actors::Task<absl::Status> FailCommits(const v1::FailCommitsRequest& request, v1::FailCommitsResponse* response);

 private:
  const std::shared_ptr<Board> board_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_BLACKBOX_SCRIPTED_H_
