// Keeps the replies to requests with a request_id, for the objects of one executor, so that a retry has no second
// effect.
//
// A record is written in the commit of the turn whose reply it keeps, and outlives the object. It is removed when it is
// old enough, and never before: at a bound, in bytes of all records or of those of one namespace, new requests with an
// id are refused.
//
// Nothing is kept in memory for a record. A request looks in the store for a record with its id. For nearly all new ids
// the filters of the table files, which are in memory, say that there is none, without a read from the disk. The bytes
// of the records in the store are counted after the executor has started, in steps between its other work; until then
// the bounds see only the records that are counted. Old records are removed in steps, too. A part of the age index that
// is damaged is passed over, and logged (`request_records_damaged`): its records are not counted, and stay.
//
// Threading: the executor.

#ifndef HOLDFAST_ACTORS_RUNTIME_REQUEST_RECORDS_H_
#define HOLDFAST_ACTORS_RUNTIME_REQUEST_RECORDS_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/executor/executor.h"
#include "actors/executor/namespace_bytes.h"
#include "actors/runtime/recorded_request.h"
#include "storage/base/background.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/object/keyspace.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::actors {

inline constexpr size_t kRequestIdBytesMax = 128;
// A larger reply to a request with an id is refused.
inline constexpr size_t kRecordedReplyBytesMax = 64 << 10;

struct RequestRecordOptions {
  absl::Duration age = absl::Minutes(10);
  // Bytes of the keys and values of all records, and of those of one namespace.
  int64_t bytes_max = int64_t{2} << 30;
  int64_t namespace_bytes_max = int64_t{1} << 30;
};

class RequestRecords {
 public:
  // Returns whether this executor runs the shard.
  using Owns = absl::AnyInvocable<bool(storage::ShardId shard) const>;

  RequestRecords(Executor* executor, storage::Store* store, storage::Background* reads,
                 storage::CommitPipeline* pipeline, const RequestRecordOptions& options, Owns owns);
  ~RequestRecords();

  void Start();
  void Stop();
  // The executor runs the shard from now on: counts its records, in steps. One that is added before it is counted may
  // count twice.
  void Gained(storage::ShardId shard);
  // The executor does not run the shard any more, and all that it wrote there is durable: takes its records out of the
  // count, in steps, and then calls `done`, from a posted function.
  void Lost(storage::ShardId shard, absl::AnyInvocable<void()> done);
  // Returns whether nothing is being read.
  bool idle() const { return !reading_ && scans_.empty(); }
  // The records that are counted, and their bytes.
  int64_t count() const { return count_; }
  int64_t bytes() const { return bytes_; }

  static std::string Key(const storage::ObjectKey& object, absl::string_view request_id);
  storage::Keyspace* keyspace() { return &keyspace_; }
  // RESOURCE_EXHAUSTED if a bound allows no new request with an id to this object.
  absl::Status CheckRoom(const storage::ObjectKey& object) const;
  // Puts the record of the request's current reply into `writes`, which must commit with the request's turn.
  // RESOURCE_EXHAUSTED, and nothing put, if the reply is too large.
  absl::Status Add(const storage::ObjectKey& object, const RecordedRequest& request, storage::WriteSet* writes);
  // Answers `request` from the bytes of a record. ALREADY_EXISTS if the record is of another request.
  static absl::Status Replay(absl::string_view record_bytes, RecordedRequest* request);

 private:
  using Shards = std::bitset<storage::kShardCount>;
  // A shard whose records are to be counted, or taken out of the count.
  struct Scan {
    storage::ShardId shard;
    int64_t sign;
    absl::AnyInvocable<void()> done;  // may be null
    std::string from;                 // the key at which it goes on
  };
  // The findings of a step of counting: the records and bytes of each run of records of one shard and namespace.
  struct Counted {
    struct Run {
      storage::ShardId shard;
      std::string ns;
      int64_t count = 0;
      int64_t bytes = 0;
    };
    void Add(storage::ShardId shard, absl::string_view ns, int64_t bytes);

    std::vector<Run> runs;
    bool more = false;
  };

  absl::Time Now() const;
  Shards OwnedShards() const;
  void Count(storage::ShardId shard, absl::string_view ns, int64_t count, int64_t bytes);
  void CountRuns(const Counted& counted, int64_t sign);
  // Takes the next step of the first scan, unless something is being read.
  void ScanOn();
  void EndScan();
  // Counts the next kCountMax of the records that were in the store at the start.
  void CountOn(bool from_first);
  // Returns the key at which to go on behind `place`, where the age index is damaged; absent: nothing more can be read.
  // Blocks.
  std::optional<std::string> PassDamage(const std::string& place, const absl::Status& why) const;
  void Sweep();
  void SweepLater(absl::Duration time);

  Executor* const executor_;
  storage::Store* const store_;
  storage::Background* const reads_;
  storage::CommitPipeline* const pipeline_;
  const RequestRecordOptions options_;
  const Owns owns_;
  storage::Keyspace keyspace_;

  bool started_ = false;
  bool reading_ = false;
  int64_t count_ = 0;
  int64_t bytes_ = 0;
  NamespaceBytes namespace_bytes_;
  std::array<int64_t, storage::kShardCount> counts_{};  // of the shards
  std::deque<Scan> scans_;
  // The part of the age index, as of the start, that is not counted yet; null once all of it is counted.
  std::unique_ptr<storage::Cursor> uncounted_;
  Shards counting_;  // the shards that were the executor's at the start
  std::string counted_to_;
  // Times of records never go back, so the part of the age index before swept_to_ stays empty.
  int64_t last_time_us_ = std::numeric_limits<int64_t>::min();
  std::string swept_to_;
  int gained_ = 0;  // the shards that were gained since the start
  // A record's time is the wall clock at the start plus the steady time since then.
  const absl::Time began_wall_;
  const absl::Time began_steady_;
  std::optional<Executor::TimerId> timer_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_REQUEST_RECORDS_H_
