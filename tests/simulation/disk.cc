#include "tests/simulation/disk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/log/log_format.h"
#include "storage/log/log_reader.h"
#include "storage/store/stuck_cursor.h"
#include "tests/simulation/forwarding_store.h"

namespace holdfast::simulation {
namespace {

using storage::BatchNumber;

constexpr size_t kSectorBytes = 512;
// A log goes on in another segment when one has so many bytes.
constexpr size_t kSegmentBytes = 32 << 10;

absl::Status Dead() { return absl::UnavailableError("the process is dead"); }

}  // namespace

Disk::Write Disk::NextWrite(Life* life) {
  if (life->cut) return Write::kLost;
  if (!life->writes_left || (*life->writes_left)-- > 0) return Write::kWhole;
  life->cut = true;
  const uint64_t how = dice_->Below(3);
  return how == 0 ? Write::kWhole : how == 1 ? Write::kTorn : Write::kLost;
}

std::string Disk::Tear(std::string bytes) {
  for (size_t at = 0; at < bytes.size(); at += kSectorBytes) {
    if (dice_->OneIn(2))
      std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at), std::min(kSectorBytes, bytes.size() - at), '\0');
  }
  return bytes;
}

void Disk::Cut() {
  life_->cut = true;
  for (auto& [number, segments] : logs_) {
    for (auto& [segment, file] : segments) file.bytes.resize(file.synced);
  }
}

// --- The store below the fold. A commit to it is atomic, and durable when it ends.

class Disk::Below final : public ForwardingStore {
 public:
  Below(Disk* disk, std::shared_ptr<Life> life) : ForwardingStore(&disk->below_), disk_(disk), life_(std::move(life)) {}

  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    if (tier == storage::ReadTier::kMemory && NeedsDisk()) return storage::ReadResult::kNeedsDisk;
    return ForwardingStore::Get(location, key, tier, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    if (tier == storage::ReadTier::kMemory && NeedsDisk()) {
      return std::make_unique<storage::StuckCursor>(storage::StuckCursor::NeedsDisk());
    }
    return ForwardingStore::NewCursor(location, std::move(range), tier);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    disk_->during_fold_();
    const bool fails = std::exchange(disk_->fold_fails_, false);
    if (fails ? disk_->dice_->OneIn(2) : disk_->NextWrite(life_.get()) != Write::kWhole) {
      return fails ? absl::UnavailableError("a fold's commit failed") : absl::OkStatus();
    }
    const absl::Status status = ForwardingStore::CommitSync(writes);
    disk_->during_fold_();
    return fails ? absl::UnavailableError("a fold's commit failed, and has happened") : status;
  }
  bool DiskFull() override { return disk_->below_.DiskFull(); }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override {
    if (disk_->NextWrite(life_.get()) != Write::kWhole) return Dead();
    return ForwardingStore::CreateFamily(name);
  }
  absl::Status DropFamily(storage::FamilyId family) override {
    if (disk_->NextWrite(life_.get()) != Write::kWhole) return absl::OkStatus();
    return ForwardingStore::DropFamily(family);
  }

 private:
  bool NeedsDisk() { return disk_->cold_ && disk_->dice_->OneIn(3); }

  Disk* const disk_;
  const std::shared_ptr<Life> life_;
};

// --- A log that is open. It removes segments whose batches are folded, and never uses a file again.

class Disk::Log final : public storage::CommitLog {
 public:
  Log(Disk* disk, std::shared_ptr<Life> life, uint32_t number, const storage::LogContents& contents)
      : disk_(disk), life_(std::move(life)), number_(number), last_(contents.last), folded_(contents.last) {
    for (uint64_t segment : contents.segments) full_.emplace_back(segment, contents.last);
    segment_ = contents.segments.empty() ? 0 : contents.segments.back();
    run_ = ++disk->runs_;
    NextSegment();
  }

  uint64_t payload_bytes_max() const override { return disk_->payload_bytes_max_; }
  absl::Status Append(int64_t time_us, absl::string_view payload) override {
    if (file_bytes_ > kSegmentBytes) {
      full_.emplace_back(segment_, last_);
      NextSegment();
    }
    std::string blocks;
    storage::AppendLogRecord(
        {.run = run_, .segment = segment_, .batch = last_ + 1, .time_us = time_us, .payload = payload}, &blocks);
    if (std::exchange(disk_->append_fails_, false)) {
      const uint64_t how = disk_->dice_->Below(3);
      if (!life_->cut && how > 0) Add(how == 1 ? disk_->Tear(std::move(blocks)) : std::move(blocks), /*synced=*/true);
      return absl::UnavailableError("a sync failed");
    }
    Put(std::move(blocks), /*synced=*/!disk_->lies_ || disk_->dice_->OneIn(3));
    ++last_;
    return absl::OkStatus();
  }
  void Pass() override { ++last_; }
  BatchNumber last() const override { return last_; }
  void Trim(BatchNumber folded) override {
    folded_ = std::max(folded_, folded);
    while (!full_.empty() && full_.front().second <= folded_) {
      if (disk_->NextWrite(life_.get()) != Write::kWhole) return;
      disk_->logs_[number_].erase(full_.front().first);
      full_.erase(full_.begin());
    }
  }
  void Fail(const absl::Status&) override {}
  absl::Status Close() override {
    std::string blocks;
    storage::AppendLogRecord({.run = run_, .segment = segment_, .batch = last_ + 1, .end = true}, &blocks);
    Put(std::move(blocks), /*synced=*/true);
    return absl::OkStatus();
  }

 private:
  void NextSegment() {
    ++segment_;
    file_bytes_ = 0;
    Put(storage::EncodeLogSegmentHeader({.log = number_, .run = run_, .segment = segment_, .folded = folded_}),
        /*synced=*/true);
  }
  // Appends to the segment. The bytes are lost, or torn, if the process dies in this write.
  void Put(std::string bytes, bool synced) {
    switch (disk_->NextWrite(life_.get())) {
      case Write::kWhole:
        Add(std::move(bytes), synced);
        break;
      case Write::kTorn:
        Add(disk_->Tear(std::move(bytes)), /*synced=*/true);
        break;
      case Write::kLost:
        break;
    }
  }
  void Add(const std::string& bytes, bool synced) {
    Segment& file = disk_->logs_[number_][segment_];
    file.bytes += bytes;
    file_bytes_ = file.bytes.size();
    if (!synced) return;
    for (auto& [segment, each] : disk_->logs_[number_]) each.synced = each.bytes.size();
  }

  Disk* const disk_;
  const std::shared_ptr<Life> life_;
  const uint32_t number_;
  uint64_t run_ = 0;
  uint64_t segment_ = 0;
  size_t file_bytes_ = 0;
  BatchNumber last_;
  BatchNumber folded_;
  std::vector<std::pair<uint64_t, BatchNumber>> full_;  // segments, each with its last batch
};

class Disk::Logs final : public storage::CommitLogs {
 public:
  Logs(Disk* disk, std::shared_ptr<Life> life) : disk_(disk), life_(std::move(life)) {}

  absl::StatusOr<std::vector<uint32_t>> List() override {
    std::vector<uint32_t> numbers;
    for (const auto& [number, segments] : disk_->logs_) numbers.push_back(number);
    return numbers;
  }
  absl::StatusOr<storage::LogContents> Read(uint32_t number, BatchNumber folded, storage::ReplayBatch replay) override {
    storage::LogReader reader(number, folded, std::move(replay));
    storage::LogContents contents;
    const auto log = disk_->logs_.find(number);
    if (log != disk_->logs_.end()) {
      for (const auto& [segment, file] : log->second) {
        if (absl::Status status = reader.Read(NameOf(number), segment, file.bytes); !status.ok()) return status;
        contents.segments.push_back(segment);
      }
    }
    if (absl::Status status = reader.CheckEnd(); !status.ok()) return status;
    contents.last = reader.last();
    contents.closed = reader.closed();
    return contents;
  }
  absl::StatusOr<std::unique_ptr<storage::CommitLog>> Open(uint32_t number,
                                                           const storage::LogContents& contents) override {
    return std::make_unique<Log>(disk_, life_, number, contents);
  }
  absl::Status Remove(uint32_t number) override {
    if (disk_->NextWrite(life_.get()) == Write::kWhole) disk_->logs_.erase(number);
    return absl::OkStatus();
  }
  std::string NameOf(uint32_t number) const override { return absl::StrCat("log ", number); }

 private:
  Disk* const disk_;
  const std::shared_ptr<Life> life_;
};

absl::StatusOr<std::unique_ptr<storage::LoggedStore>> Disk::Open(storage::LoggedStoreOptions options,
                                                                 std::optional<uint64_t> writes) {
  life_->cut = true;
  life_ = std::make_shared<Life>();
  life_->writes_left = writes;
  append_fails_ = false;
  fold_fails_ = false;
  options.fold_every = absl::InfiniteDuration();
  return storage::LoggedStore::Open(std::make_unique<Below>(this, life_), std::make_unique<Logs>(this, life_),
                                    std::move(options));
}

}  // namespace holdfast::simulation
