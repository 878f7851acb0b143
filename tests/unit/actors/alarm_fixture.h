// A fixture for the tests of alarms. It notes which alarms fired and when, and the test sets the handler.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_ALARM_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_ALARM_FIXTURE_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {

class AlarmTest : public ScriptedTest {
 protected:
  struct Fired {
    std::string name;
    absl::Time time;
    absl::Time scheduled_time;
    int32_t retry_count;

    friend void PrintTo(const Fired& one, std::ostream* out) {
      *out << one.name << " at " << one.time << " for " << one.scheduled_time << " retry " << one.retry_count;
    }
  };

  AlarmTest() {
    // Notes that the alarm fired, and then runs the test's handler.
    board().alarm = [this](ScriptedObject& self, const AlarmRun& run) -> Task<absl::Status> {
      fired.push_back({self.name, clock.Now(), run.scheduled_time, run.retry_count});
      const auto script = on_alarm;
      if (!script) co_return absl::OkStatus();
      co_return co_await script(self, run);
    };
  }

  std::vector<std::string> FiredNames() const {
    std::vector<std::string> names;
    for (const Fired& one : fired) names.push_back(one.name);
    return names;
  }
  void AlwaysFail() {
    on_alarm = [](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> { co_return absl::InternalError("fails"); };
  }
  void FailOnce() {
    on_alarm = [this](ScriptedObject&, const AlarmRun&) -> Task<absl::Status> {
      if (fired.size() == 1) co_return absl::InternalError("fails once");
      co_return absl::OkStatus();
    };
  }

  std::vector<Fired> fired;
  ScriptedObject::AlarmScript on_alarm;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_ALARM_FIXTURE_H_
