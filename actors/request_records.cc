#include "actors/request_records.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/errors.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/format.h"
#include "storage/key_codec.h"
#include "storage/log.h"

namespace holdfast::actors {
namespace {

using storage::KeyRange;
using storage::WriteSet;
using storage::v1::RequestRecord;

// So many are removed in one commit.
constexpr size_t kSweepMax = 1000;
// The sweep comes so often within the age of a record, but not more often than this.
constexpr int kSweepsPerAge = 20;
constexpr absl::Duration kSweepStepMin = absl::Milliseconds(100);

std::string AgeKey(int64_t time_us, absl::string_view record_key) {
  std::string key(1, storage::kRequestAgeKind);
  storage::AppendInt64(&key, time_us);
  absl::StrAppend(&key, record_key);
  return key;
}

// What of the age index belongs to one record.
struct AgeEntry {
  std::string record_key;
  storage::ShardId shard;
  int64_t bytes;
};

bool ParseAgeEntry(absl::string_view key, absl::string_view value, AgeEntry* entry) {
  int64_t time_us;
  uint16_t shard;
  key.remove_prefix(1);
  if (!storage::ConsumeInt64(&key, &time_us) || key.empty()) return false;
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
      swept_to_(1, storage::kRequestAgeKind) {}

RequestRecords::~RequestRecords() { Stop(); }

void RequestRecords::Start() {
  started_ = true;
  reading_ = true;
  counting_ = true;
  struct Counted {
    int64_t count = 0;
    int64_t bytes = 0;
    // Of the time since the start, by their keys in the index, with their bytes: some may be new.
    std::vector<std::pair<std::string, int64_t>> late;
    absl::Status status;
  };
  auto counted = std::make_shared<Counted>();
  const std::string start = AgeKey(absl::ToUnixMicros(executor_->clock().Now()), "");
  reads_->Run(
      [this, counted, start] {
        const storage::Location location = keyspace_.location();
        storage::View view(store_, &location, {}, storage::ReadTier::kDisk);
        counted->status = view.Scan(KeyRange::Prefix({&storage::kRequestAgeKind, 1}), false,
                                    [&](absl::string_view key, absl::string_view value) {
                                      AgeEntry entry;
                                      if (!ParseAgeEntry(key, value, &entry) || !owns_(entry.shard)) return true;
                                      if (key >= start) {
                                        counted->late.emplace_back(std::string(key), entry.bytes);
                                      } else {
                                        ++counted->count;
                                        counted->bytes += entry.bytes;
                                      }
                                      return true;
                                    });
      },
      [this, counted] {
        reading_ = false;
        counting_ = false;
        for (const auto& [key, bytes] : counted->late) {
          if (added_while_counting_.contains(key)) continue;
          ++counted->count;
          counted->bytes += bytes;
        }
        added_while_counting_.clear();
        if (!counted->status.ok()) {
          Log(LogLevel::kError, "request_records_unreadable", {{"status", counted->status.ToString()}});
        }
        count_ += counted->count;
        bytes_ += counted->bytes;
        if (count_ > 0 || !counted->status.ok()) SweepLater(absl::ZeroDuration());
      });
}

void RequestRecords::Stop() {
  started_ = false;
  if (timer_) executor_->Cancel(*timer_);
  timer_.reset();
}

std::string RequestRecords::Key(const storage::ObjectKey& object, absl::string_view request_id) {
  std::string key(1, storage::kRequestRecordKind);
  storage::AppendUint16(&key, static_cast<uint16_t>(object.shard()));
  absl::StrAppend(&key, object.encoded(), request_id);
  return key;
}

absl::Status RequestRecords::CheckRoom() const {
  if (count_ < options_.records_max && bytes_ < options_.bytes_max) return absl::OkStatus();
  return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                   absl::StrCat("the server keeps ", count_, " replies to requests with a request_id, of ", bytes_,
                                " bytes, which is all it may; each for ", absl::FormatDuration(options_.age)),
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
  last_time_us_ = std::max(last_time_us_, absl::ToUnixMicros(executor_->clock().Now()));
  record.set_method(std::string(request.method()));
  record.set_request_hash(request.Hash());
  record.set_create_time_us(last_time_us_);
  const std::string key = Key(object, request.request_id());
  std::string value = record.SerializeAsString();
  const int64_t bytes = static_cast<int64_t>(2 * key.size() + value.size());
  std::string age_value;
  storage::AppendInt64(&age_value, bytes);
  std::string age_key = AgeKey(last_time_us_, key);
  if (counting_) added_while_counting_.insert(age_key);
  writes->Put(age_key, std::move(age_value));
  writes->Put(key, std::move(value));
  ++count_;
  bytes_ += bytes;
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
  const absl::Duration step = std::max(options_.age / kSweepsPerAge, kSweepStepMin);
  timer_ = executor_->At(executor_->clock().Now() + std::min(time, step), [this] {
    timer_.reset();
    Sweep();
  });
}

void RequestRecords::Sweep() {
  if (!started_ || reading_) return;
  struct Swept {
    KeyRange range;
    std::vector<AgeEntry> entries;
    std::vector<std::string> age_keys;
    std::string last;
    size_t seen = 0;
    absl::Status status;
  };
  auto swept = std::make_shared<Swept>();
  swept->range = {swept_to_, AgeKey(absl::ToUnixMicros(executor_->clock().Now() - options_.age), "")};
  reading_ = true;
  reads_->Run(
      [this, swept] {
        const storage::Location location = keyspace_.location();
        storage::View view(store_, &location, {}, storage::ReadTier::kDisk);
        swept->status = view.Scan(swept->range, false, [&](absl::string_view key, absl::string_view value) {
          AgeEntry entry;
          if (ParseAgeEntry(key, value, &entry) && owns_(entry.shard)) {
            swept->entries.push_back(std::move(entry));
            swept->age_keys.emplace_back(key);
          }
          swept->last = std::string(key);
          return ++swept->seen < kSweepMax;
        });
      },
      [this, swept] {
        reading_ = false;
        if (!swept->status.ok()) {
          Log(LogLevel::kError, "request_records_unreadable", {{"status", swept->status.ToString()}});
        } else if (!pipeline_->failed() && started_) {
          if (!swept->last.empty()) swept_to_ = swept->last + '\0';
          WriteSet writes;
          for (size_t i = 0; i < swept->entries.size(); ++i) {
            writes.Delete(swept->age_keys[i]);
            writes.Delete(swept->entries[i].record_key);
            --count_;
            bytes_ -= swept->entries[i].bytes;
          }
          if (swept->seen == kSweepMax && !writes.empty()) {
            // There may be more: on, as fast as the disk takes it.
            pipeline_->Join(&keyspace_, &writes);
            pipeline_->WhenDurable(pipeline_->filling(), [this](const absl::Status& status) {
              if (status.ok()) Sweep();
            });
            return;
          }
          pipeline_->Join(&keyspace_, &writes);
        }
        if (count_ > 0) SweepLater(swept->seen == kSweepMax ? absl::ZeroDuration() : options_.age);
      });
}

}  // namespace holdfast::actors
