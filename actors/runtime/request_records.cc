#include "actors/runtime/request_records.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/base/log.h"
#include "storage/store/damage.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

using storage::KeyRange;
using storage::WriteSet;
using storage::v1::RequestRecord;

// The most records that one commit of the sweep removes: few enough to delay nobody, and enough for 25,000 a second if
// a commit takes 20 ms.
constexpr size_t kSweepMax = 500;
// Bounds of the time between two sweeps. The lower one makes each sweep find enough records to be worth its commit.
constexpr absl::Duration kSweepStepMin = absl::Milliseconds(100);
constexpr absl::Duration kSweepStepMax = absl::Seconds(1);
// The number of sweeps within the age of a record, as far as these bounds allow.
constexpr int kSweepsPerAge = 20;
// The most records that one step of the count looks at; a scan of a shard reads them with their replies.
constexpr size_t kCountMax = 10'000;
constexpr size_t kScanMax = 1'000;

// Returns the namespace of an encoded id, without a copy: a namespace has no zero bytes, so it is encoded as it is.
absl::string_view NamespaceOf(absl::string_view encoded_id) { return encoded_id.substr(0, encoded_id.find('\0')); }

// The records of a shard have keys with this prefix.
std::string RecordPrefix(storage::ShardId shard) {
  std::string prefix(1, storage::kRequestRecordKind);
  storage::AppendUint16(&prefix, static_cast<uint16_t>(shard));
  return prefix;
}

std::string AgeKey(int64_t time_us, absl::string_view record_key) {
  std::string key(1, storage::kRequestAgeKind);
  storage::AppendInt64(&key, time_us);
  absl::StrAppend(&key, record_key);
  return key;
}

// Returns the bytes of a record and of its entry in the age index.
int64_t BytesOf(absl::string_view key, absl::string_view value) {
  return static_cast<int64_t>(key.size() + value.size() + AgeKey(0, key).size() + sizeof(int64_t));
}

// The entry of one record in the age index.
struct AgeEntry {
  int64_t time_us;
  std::string record_key;
  storage::ShardId shard;
  int64_t bytes;

  // In the key of a record the encoded id follows the kind and the shard.
  absl::string_view ns() const { return NamespaceOf(absl::string_view(record_key).substr(1 + sizeof(uint16_t))); }
};

bool ParseAgeEntry(absl::string_view key, absl::string_view value, AgeEntry* entry) {
  uint16_t shard;
  key.remove_prefix(1);
  if (!storage::ConsumeInt64(&key, &entry->time_us) || key.empty()) return false;
  entry->record_key = std::string(key);
  key.remove_prefix(1);
  if (!storage::ConsumeUint16(&key, &shard)) return false;
  entry->shard = storage::ShardId(shard);
  return storage::ConsumeInt64(&value, &entry->bytes);
}

}  // namespace

RequestRecords::RequestRecords(Executor* executor, storage::Store* store, storage::Background* reads,
                               storage::CommitPipeline* pipeline, const RequestRecordOptions& options, Owns owns)
    : executor_(executor),
      store_(store),
      reads_(reads),
      pipeline_(pipeline),
      options_(options),
      owns_(std::move(owns)),
      keyspace_({storage::FamilyId::kRequests, ""}),
      swept_to_(1, storage::kRequestAgeKind),
      began_wall_(executor->clock().Wall()),
      began_steady_(executor->clock().Steady()) {}

absl::Time RequestRecords::Now() const { return began_wall_ + (executor_->clock().Steady() - began_steady_); }

RequestRecords::~RequestRecords() { Stop(); }

RequestRecords::Shards RequestRecords::OwnedShards() const {
  Shards owned;
  for (size_t shard = 0; shard < owned.size(); ++shard) owned[shard] = owns_(storage::ShardId(shard));
  return owned;
}

void RequestRecords::Counted::Add(storage::ShardId shard, absl::string_view ns, int64_t bytes) {
  if (runs.empty() || runs.back().shard != shard || runs.back().ns != ns) runs.push_back({shard, std::string(ns)});
  ++runs.back().count;
  runs.back().bytes += bytes;
}

void RequestRecords::Count(storage::ShardId shard, absl::string_view ns, int64_t count, int64_t bytes) {
  count_ += count;
  bytes_ += bytes;
  counts_[static_cast<size_t>(shard)] += count;
  namespace_bytes_.Add(ns, bytes);
}

void RequestRecords::CountRuns(const Counted& counted, int64_t sign) {
  for (const Counted::Run& run : counted.runs) Count(run.shard, run.ns, sign * run.count, sign * run.bytes);
}

void RequestRecords::Start() {
  started_ = true;
  counting_ = OwnedShards();
  // The cursor sees the records that are there now, and none that is added from here on.
  counted_to_ = std::string(1, storage::kRequestAgeKind);
  uncounted_ = store_->NewCursor(keyspace_.location(), KeyRange::Prefix({&storage::kRequestAgeKind, 1}),
                                 storage::ReadTier::kDisk);
  CountOn(/*from_first=*/true);
}

void RequestRecords::CountOn(bool from_first) {
  reading_ = false;
  if (!started_) return;
  auto counted = std::make_shared<Counted>();
  reading_ = true;
  reads_->Run(
      [this, counted, from_first, counting = counting_, cursor = uncounted_.get()] {
        if (from_first) cursor->SeekToFirst();
        for (size_t i = 0; i < kCountMax; ++i, cursor->Next()) {
          if (cursor->state() == storage::ReadResult::kError) {
            const auto next = PassDamage(counted_to_, cursor->error());
            if (!next) return;
            cursor->Seek(*next);
          }
          if (cursor->state() != storage::ReadResult::kFound) return;
          counted_to_ = std::string(cursor->key()) + '\0';
          AgeEntry entry;
          if (!ParseAgeEntry(cursor->key(), cursor->value(), &entry)) continue;
          if (counting[static_cast<size_t>(entry.shard)]) counted->Add(entry.shard, entry.ns(), entry.bytes);
        }
        counted->more = true;
      },
      [this, counted] {
        CountRuns(*counted, 1);
        if (counted->more) {
          CountOn(/*from_first=*/false);
          return;
        }
        reading_ = false;
        const absl::Status status = uncounted_->error();
        uncounted_.reset();
        if (!status.ok()) Log(LogLevel::kError, "request_records_unreadable", {{"status", status.ToString()}});
        if (count_ > 0 || !status.ok()) {
          Sweep();
        } else {
          ScanOn();
        }
      });
}

void RequestRecords::Gained(storage::ShardId shard) {
  scans_.push_back({shard, 1, nullptr, RecordPrefix(shard)});
  // Its oldest record may be older than all that were swept here.
  swept_to_ = std::string(1, storage::kRequestAgeKind);
  ++gained_;
  ScanOn();
}

void RequestRecords::Lost(storage::ShardId shard, absl::AnyInvocable<void()> done) {
  scans_.push_back({shard, -1, std::move(done), RecordPrefix(shard)});
  ScanOn();
}

void RequestRecords::ScanOn() {
  // Until the records of the start are counted, nobody knows which of a shard's are.
  if (reading_ || uncounted_ != nullptr || scans_.empty()) return;
  const Scan& scan = scans_.front();
  if (!started_ || (scan.sign < 0 && counts_[static_cast<size_t>(scan.shard)] == 0)) {
    EndScan();
    return;
  }
  const auto counted = std::make_shared<Counted>();
  const auto next = std::make_shared<std::string>();
  const KeyRange range{scan.from, storage::PrefixEnd(RecordPrefix(scan.shard))};
  reading_ = true;
  reads_->Run(
      [this, counted, next, range, shard = scan.shard] {
        const auto cursor = store_->NewCursor(keyspace_.location(), range, storage::ReadTier::kDisk);
        cursor->SeekToFirst();
        for (size_t i = 0; cursor->state() == storage::ReadResult::kFound; ++i, cursor->Next()) {
          const absl::string_view key = cursor->key();
          if (i == kScanMax) {
            counted->more = true;
            *next = std::string(key);
            return;
          }
          counted->Add(shard, NamespaceOf(key.substr(RecordPrefix(shard).size())), BytesOf(key, cursor->value()));
        }
        if (!cursor->error().ok()) {
          Log(LogLevel::kError, "request_records_unreadable", {{"status", cursor->error().ToString()}});
        }
      },
      [this, counted, next] {
        reading_ = false;
        Scan& scan = scans_.front();
        CountRuns(*counted, scan.sign);
        if (counted->more) {
          scan.from = *next;
          ScanOn();
        } else {
          EndScan();
        }
      });
}

void RequestRecords::EndScan() {
  if (scans_.front().done != nullptr) executor_->Post(std::move(scans_.front().done));
  scans_.pop_front();
  if (count_ > 0) SweepLater(absl::ZeroDuration());
  ScanOn();
}

std::optional<std::string> RequestRecords::PassDamage(const std::string& place, const absl::Status& why) const {
  if (why.code() != absl::StatusCode::kDataLoss) return std::nullopt;
  const KeyRange rest{place, storage::PrefixEnd({&storage::kRequestAgeKind, 1})};
  const std::optional<std::string> next = storage::ReadableFrom(store_, keyspace_.location(), rest);
  if (next == place) return std::nullopt;
  if (next) Log(LogLevel::kError, "request_records_damaged", {{"status", why.ToString()}});
  return next;
}

void RequestRecords::Stop() {
  started_ = false;
  if (timer_) executor_->Cancel(*timer_);
  timer_.reset();
}

std::string RequestRecords::Key(const storage::ObjectKey& object, absl::string_view request_id) {
  return absl::StrCat(RecordPrefix(object.shard()), object.encoded(), request_id);
}

absl::Status RequestRecords::CheckRoom(const storage::ObjectKey& object) const {
  std::string who;
  if (bytes_ >= options_.bytes_max) {
    who =
        absl::StrCat("the server keeps ", bytes_, " bytes of replies to requests with a request_id, which is all that ",
                     "storage.request_record_bytes_max lets it");
  } else {
    const absl::string_view ns = NamespaceOf(object.encoded());
    const int64_t bytes = namespace_bytes_.Of(ns);
    if (bytes < options_.namespace_bytes_max) return absl::OkStatus();
    who =
        absl::StrCat("the server keeps ", bytes, " bytes of replies to requests with a request_id of the namespace \"",
                     ns, "\", which is all that storage.request_record_bytes_per_namespace_max lets it");
  }
  return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                   absl::StrCat(who, "; each for ", absl::FormatDuration(options_.age), ". Nothing was done"),
                   absl::Seconds(1));
}

absl::Status RequestRecords::Add(const storage::ObjectKey& object, const RecordedRequest& request, WriteSet* writes) {
  RequestRecord record;
  record.set_reply(request.SerializeReply());
  if (record.reply().size() > kRecordedReplyBytesMax) {
    return Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE,
                 absl::StrCat("the reply would have ", record.reply().size(), " bytes; of a request with a request_id ",
                              "it may have ", kRecordedReplyBytesMax, ". Nothing was done; ask for less at once"));
  }
  last_time_us_ = std::max(last_time_us_, absl::ToUnixMicros(Now()));
  record.set_method(std::string(request.method()));
  record.set_request_hash(request.Hash());
  record.set_create_time_us(last_time_us_);
  const std::string key = Key(object, request.request_id());
  std::string value = record.SerializeAsString();
  std::string age_key = AgeKey(last_time_us_, key);
  const int64_t bytes = BytesOf(key, value);
  std::string age_value;
  storage::AppendInt64(&age_value, bytes);
  writes->Put(age_key, std::move(age_value));
  writes->Put(key, std::move(value));
  Count(object.shard(), NamespaceOf(object.encoded()), 1, bytes);
  if (!timer_ && !reading_) SweepLater(options_.age);
  return absl::OkStatus();
}

absl::Status RequestRecords::Replay(absl::string_view record_bytes, RecordedRequest* request) {
  RequestRecord record;
  if (!record.ParseFromArray(record_bytes.data(), static_cast<int>(record_bytes.size()))) {
    return absl::DataLossError("the record of a request is garbled");
  }
  if (record.method() != request->method() || record.request_hash() != request->Hash()) {
    return Error(absl::StatusCode::kAlreadyExists, v1::ERROR_REASON_REQUEST_ID_REUSED,
                 absl::StrCat("request_id: this object has had another request with the same id (", record.method(),
                              "); nothing was done"));
  }
  if (!request->ParseReply(record.reply())) return absl::DataLossError("the record of a request is garbled");
  return absl::OkStatus();
}

void RequestRecords::SweepLater(absl::Duration time) {
  if (!started_ || timer_) return;
  const absl::Duration step = std::clamp(options_.age / kSweepsPerAge, kSweepStepMin, kSweepStepMax);
  timer_ = executor_->After(std::max(time, step), [this] {
    timer_.reset();
    Sweep();
  });
}

void RequestRecords::Sweep() {
  if (!started_ || reading_) return;
  struct Swept {
    std::vector<AgeEntry> entries;
    std::vector<std::string> age_keys;
    std::string next;  // the key at which the next sweep begins; empty: the key at which this one began
    size_t seen = 0;
    std::optional<int64_t> next_us;  // the time of the first record that is too young to go
    absl::Status status;
  };
  auto swept = std::make_shared<Swept>();
  const int64_t old_us = absl::ToUnixMicros(Now() - options_.age);
  const KeyRange range{swept_to_, storage::PrefixEnd({&storage::kRequestAgeKind, 1})};
  reading_ = true;
  reads_->Run(
      [this, swept, range, old_us, owned = OwnedShards()] {
        const storage::Location location = keyspace_.location();
        storage::View view(store_, &location, {}, storage::ReadTier::kDisk);
        swept->status = view.Scan(range, false, [&](absl::string_view key, absl::string_view value) {
          AgeEntry entry;
          const bool whole = ParseAgeEntry(key, value, &entry);
          if (whole && entry.time_us >= old_us) {
            swept->next_us = entry.time_us;
            return false;
          }
          swept->next = std::string(key) + '\0';
          if (whole && owned[static_cast<size_t>(entry.shard)]) {
            swept->entries.push_back(std::move(entry));
            swept->age_keys.emplace_back(key);
          }
          return ++swept->seen < kSweepMax;
        });
        if (swept->status.ok()) return;
        const auto next = PassDamage(swept->next.empty() ? range.start : swept->next, swept->status);
        if (!next) return;
        swept->status = absl::OkStatus();
        swept->next = *next;
        swept->seen = kSweepMax;
      },
      [this, swept, gained = gained_] {
        reading_ = false;
        ScanOn();
        if (!swept->status.ok()) {
          Log(LogLevel::kError, "request_records_unreadable", {{"status", swept->status.ToString()}});
          SweepLater(options_.age);
          return;
        }
        if (!pipeline_->failed() && started_) {
          if (!swept->next.empty() && gained == gained_) swept_to_ = swept->next;
          WriteSet writes;
          for (size_t i = 0; i < swept->entries.size(); ++i) {
            const AgeEntry& entry = swept->entries[i];
            if (!owns_(entry.shard)) continue;  // the shard has gone meanwhile
            Count(entry.shard, entry.ns(), -1, -entry.bytes);
            writes.Delete(swept->age_keys[i]);
            writes.Delete(entry.record_key);
          }
          const bool more = swept->seen == kSweepMax;
          if (!writes.empty()) {
            pipeline_->Join(&keyspace_, &writes);
            if (more) {
              // The sweep goes on as soon as this commit is durable.
              pipeline_->WhenDurable(pipeline_->filling(), [this](const absl::Status& status) {
                if (status.ok()) Sweep();
              });
              return;
            }
          } else if (more) {
            Sweep();  // all these records belong to other executors, or are damaged
            return;
          }
        }
        if (count_ == 0) return;
        const absl::Time now = Now();
        SweepLater(swept->next_us ? absl::FromUnixMicros(*swept->next_us) + options_.age - now : absl::ZeroDuration());
      });
}

}  // namespace holdfast::actors
