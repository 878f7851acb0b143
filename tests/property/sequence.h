// One sequence: random requests to several objects of a node that is passivated, restarted and killed meanwhile. Each
// reply is compared with the model. The seed determines the run.

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
  int64_t unanswered = 0;  // calls that a kill interrupted
  int64_t replays = 0;
  int64_t deliveries = 0;      // of alarms
  int64_t left = 0;            // times that an object ceased to exist by itself
  int64_t sql_statements = 0;  // in calls answered with OK
  int64_t sql_rows = 0;        // rows of those calls, compared with the model
  int64_t sql_failed = 0;      // calls with SQL that failed on both sides
  int64_t sql_databases = 0;   // databases compared as a whole
  int64_t sql_pages_max = 0;   // the most pages of such a database
  MoveCounts moves;
};

class Sequence {
 public:
  // Both must outlive the sequence. The subject's store is empty, and no node lives.
  Sequence(uint64_t seed, Profile profile, Subject* subject, Counts* counts);
  ~Sequence();

  // Returns the differences found; the run ends at the first.
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
  // An object, as far as the test knows it.
  struct Tested {
    bool heavy = false;
    std::vector<World> worlds = {World()};
    std::deque<std::unique_ptr<Call>> calls;  // not compared yet, in the order in which they were sent
    std::vector<Page> pages;                  // lists that can be continued
    std::vector<Known> known;                 // requests with an id
    std::vector<std::string> tokens;
    std::vector<std::string> outstanding;  // tokens that the test will acknowledge
  };
  struct Delivered {
    actors::AlarmWatchers::Delivery delivery;
    int64_t time_us;
  };

  // --- sequence.cc: steps
  void Step();
  const std::string& AnyObject();
  void SendOne(const std::string& name);
  // Sends many requests to one object, and deletes it now and then, while its commits and moves go on step by step.
  void Burst();
  void SendSome();
  // Sends a request again, unchanged, or sends another request under its id.
  void Replay(const std::string& name);
  void GoOn(const std::string& name);
  void Advance(absl::Duration time);
  void Restart();
  void Kill();
  // A client watches the alarms for a while.
  void Watch();
  void WatchAndKill();

  // --- sequence_check.cc: the model
  void Send(Operation operation);
  // Sends an operation whose id may be used again.
  void SendFirst(Operation operation);
  // Compares the replies that have come.
  void Collect();
  // Runs the node until every call is answered, and compares the replies.
  void Settle();
  void Compare(Tested* object, Call* call);
  void Note(Tested* object, Call* call);
  void CountSql(const Call& call);
  // Forks each world for the calls that a kill interrupted.
  void Fork(Tested* object);
  // Compares the deliveries that the watcher got. One that was due before `begin_us` must have come; with `lost` it may
  // also have come to nobody.
  void CompareDeliveries(const std::vector<Delivered>& delivered, int64_t begin_us, bool lost);
  // Reads everything of the object.
  void Verify(const std::string& name);
  void CheckDescription(const std::string& name);
  void CheckCatalog();
  // Returns whether the object may exist, or not exist, in this world.
  bool MayBe(const World& world, bool exists) const;
  // Deletes the objects; the store must then be empty.
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
