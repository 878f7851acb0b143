// One sequence: random requests to several objects of a node that is passivated, restarted and killed meanwhile, each
// reply compared with what the model says. A run is its seed.

#ifndef HOLDFAST_TESTS_PROPERTY_SEQUENCE_H_
#define HOLDFAST_TESTS_PROPERTY_SEQUENCE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/property/call.h"
#include "tests/property/generator.h"
#include "tests/property/subject.h"
#include "tests/property/world.h"
#include "tests/simulation/seed.h"

namespace holdfast::property {

struct Counts {
  int64_t sequences = 0;
  int64_t steps = 0;
  int64_t restarts = 0;
  int64_t kills = 0;
  int64_t unanswered = 0;  // calls that a kill met
  int64_t replays = 0;
  int64_t deliveries = 0;      // of alarms
  int64_t left = 0;            // times that an object was seen to be gone by itself
  int64_t sql_statements = 0;  // of calls that were answered with OK
  int64_t sql_rows = 0;        // that they gave, each the same
  int64_t sql_failed = 0;      // calls with SQL that failed, here and there
  int64_t sql_databases = 0;   // compared as a whole
  int64_t sql_pages_max = 0;   // that one of those had
  MoveCounts moves;
};

class Sequence {
 public:
  // Both must outlive this. The subject's store is empty, and no node lives.
  Sequence(uint64_t seed, Profile profile, Subject* subject, Counts* counts);
  ~Sequence();

  // The differences found; it ends with the first.
  std::vector<std::string> Run(int steps);

 private:
  struct Page {
    v1::ListEntriesRequest request;
    std::string after_key;
    int64_t left;
  };
  struct Known {
    Operation operation;
    int64_t sent_us;
  };
  // An object, as far as the test knows.
  struct Tested {
    bool heavy = false;
    std::vector<World> worlds = {World()};
    std::deque<std::unique_ptr<Call>> calls;  // not compared yet, in the order in which they were sent
    std::vector<Page> pages;                  // lists that can go on
    std::vector<Known> known;                 // with a request id
    std::vector<std::string> tokens;
    std::vector<std::string> outstanding;  // of these, those that the test is going to acknowledge
  };
  struct Delivered {
    actors::AlarmWatchers::Delivery delivery;
    int64_t time_us;
  };

  // --- sequence.cc: steps.
  void Step();
  const std::string& AnyObject();
  void SendOne(const std::string& name);
  // Many to one object, which is deleted now and then, while its commits and moves go on step by step.
  void Burst();
  void SendSome();
  // Sends one again, as it was or with another request under its id.
  void Replay(const std::string& name);
  void GoOn(const std::string& name);
  void Advance(absl::Duration time);
  void Restart();
  void Kill();
  // A client watches the alarms for a while.
  void Watch();
  void WatchAndKill();

  // --- sequence_check.cc: the model.
  void Send(Operation operation);
  // The same, for one whose id may be used again.
  void SendFirst(Operation operation);
  // Compares what is answered.
  void Collect();
  // Until everything is answered.
  void Settle();
  void Compare(Tested* object, Call* call);
  void Note(Tested* object, Call* call);
  void CountSql(const Call& call);
  // The calls that a kill met: each world forks.
  void Fork(Tested* object);
  // What the watcher got, or did not get though it was due since before `begin_us`; with `lost` it may have come to
  // nobody.
  void CompareDeliveries(const std::vector<Delivered>& delivered, int64_t begin_us, bool lost);
  // Reads everything of the object.
  void Verify(const std::string& name);
  void CheckDescription(const std::string& name);
  void CheckCatalog();
  // Whether the object may be seen so.
  bool MayBe(const World& world, bool exists) const;
  // Deletes the objects; nothing must be left.
  void CleanUp();
  void Differ(const std::string& what);

  const uint64_t seed_;
  const Profile profile_;
  Subject* const subject_;
  Counts* const counts_;
  simulation::Dice dice_;
  Generator generator_;
  std::map<std::string, Tested> objects_;
  int step_ = 0;
  std::vector<std::string> differences_;
};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_SEQUENCE_H_
