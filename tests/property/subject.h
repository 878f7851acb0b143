// The subject of the test: a node over a store of some kind, with its lives and its ends. Several sequences share one
// subject, one after the other; each leaves the store empty.

#ifndef HOLDFAST_TESTS_PROPERTY_SUBJECT_H_
#define HOLDFAST_TESTS_PROPERTY_SUBJECT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/property/counting_store.h"
#include "tests/simulation/node.h"
#include "tests/unit/storage/stores.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::property {

// The age at which records of request ids expire in this test.
inline constexpr absl::Duration kRecordAge = absl::Seconds(60);
inline constexpr int kFamiliesMax = 2;

class Subject {
 public:
  Subject(storage::StoreKind kind, MoveCounts* counts) : kind_(kind), counts_(counts) { OpenStore(); }
  ~Subject() { EndNode(); }

  // Begins a life of the node. The previous life and its calls must have ended.
  void StartNode(uint64_t seed);
  // Destroys the node; writes that are not in the store are lost.
  void EndNode();
  // Closes the store and opens it again; call this between lives.
  void ReopenStore();
  // Resets the clock and the dice for this seed.
  void Reset(uint64_t seed);

  simulation::Node& node() { return *node_; }
  CountingStore& store() { return *counting_; }
  simulation::VirtualClock& clock() { return clock_; }
  int64_t now_us() const { return absl::ToUnixMicros(clock_.Now()); }

  // Returns the store's contents apart from its header: a line each for the first few entries.
  std::vector<std::string> LeftInStore();

 private:
  void OpenStore();

  const storage::StoreKind kind_;
  MoveCounts* const counts_;
  storage::TempDir dir_;
  simulation::VirtualClock clock_;
  uint64_t seed_ = 1;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<CountingStore> counting_;
  std::unique_ptr<simulation::Node> node_;
};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_SUBJECT_H_
