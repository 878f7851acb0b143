// The disk of a simulation: the commit logs, byte for byte as the server writes them, and the store below the fold. It
// outlives the processes that use it, one after the other, and it fails when it is told to.
//
// A process dies with Cut(), or in the middle of a write with CutAfter(). From then on nothing that it does reaches the
// disk, so the rest of a dead process can be destroyed like any other. What was not synced when it died stays, goes, or
// stays in part, sector by sector.

#ifndef HOLDFAST_TESTS_SIMULATION_DISK_H_
#define HOLDFAST_TESTS_SIMULATION_DISK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "storage/fold/logged_store.h"
#include "storage/log/commit_logs.h"
#include "storage/store/memory_store.h"
#include "storage/store/store.h"
#include "tests/simulation/seed.h"

namespace holdfast::simulation {

class Disk {
 public:
  // `dice` must outlive the disk.
  explicit Disk(Dice* dice) : dice_(dice) {}
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Begins the life of a process and opens its store; the life before must be cut, or have ended in order. `options`
  // has the logs, the clock and the bounds. With `writes`, CutAfter(*writes) holds from the beginning.
  absl::StatusOr<std::unique_ptr<storage::LoggedStore>> Open(storage::LoggedStoreOptions options,
                                                             std::optional<uint64_t> writes = std::nullopt);
  // The process is dead.
  void Cut();
  // The process dies in the middle of the write that comes after so many others.
  void CutAfter(uint64_t writes) { life_->writes_left = writes; }
  bool cut() const { return life_->cut; }

  // The next append to a log, or the next commit of a fold, ends with an error, and has happened or not.
  void FailNextAppend() { append_fails_ = true; }
  void FailNextFold() { fold_fails_ = true; }
  // While it is cold, a third of the reads have to wait for the disk.
  void set_cold(bool cold) { cold_ = cold; }
  void set_full(bool full) { below_.set_disk_full(full); }
  // A disk that lies says that an append is durable, and syncs it only with a later one.
  void set_lies(bool lies) { lies_ = lies; }
  // Called within each commit of a fold, before and after it happens: other threads go on meanwhile.
  void set_during_fold(std::function<void()> during_fold) { during_fold_ = std::move(during_fold); }
  // The most bytes of a batch in a log.
  void set_payload_bytes_max(uint64_t bytes) { payload_bytes_max_ = bytes; }

 private:
  class Below;
  class Log;
  class Logs;

  // A process, as the disk sees it.
  struct Life {
    bool cut = false;
    std::optional<uint64_t> writes_left;
  };
  enum class Write { kWhole, kTorn, kLost };
  struct Segment {
    std::string bytes;
    size_t synced = 0;
  };
  using Segments = std::map<uint64_t, Segment>;

  // The fate of the next write of this process.
  Write NextWrite(Life* life);
  // Returns the bytes as a torn write leaves them.
  std::string Tear(std::string bytes);

  Dice* const dice_;
  storage::MemoryStore below_;
  std::map<uint32_t, Segments> logs_;
  std::shared_ptr<Life> life_ = std::make_shared<Life>();
  uint64_t runs_ = 0;
  bool append_fails_ = false;
  bool fold_fails_ = false;
  bool cold_ = false;
  bool lies_ = false;
  std::function<void()> during_fold_ = [] {};
  uint64_t payload_bytes_max_ = uint64_t{1} << 30;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_DISK_H_
