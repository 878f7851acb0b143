// The server runs on a data directory in which a bit was flipped, or in which a power failure has left pages unwritten.

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "storage/log/log_format.h"
#include "tests/answers/answers.h"
#include "tests/integration/requests.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/raw_rocksdb.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;
using CounterStub = v1::CounterService::Stub;
using BatchStub = v1::BatchProcessorService::Stub;
using ObjectStub = v1::ObjectService::Stub;

constexpr int kCounters = 200;
constexpr int kBatches = 60;
// There are fewer families than objects, so that some objects are packed.
constexpr char kConfig[] = "storage { column_families_max: 150 } actors { executors: 2 }";

class DamageAnswers : public AnswersTest {
 protected:
  void Serve(const std::string& config = kConfig) {
    Start(config);
    const auto channel = server_->NewChannel();
    counters_ = v1::CounterService::NewStub(channel);
    batches_ = v1::BatchProcessorService::NewStub(channel);
    objects_ = v1::ObjectService::NewStub(channel);
  }
  void Stop() { ASSERT_EQ(server_->Terminate(), 0); }

  static std::string CounterName(int i) { return absl::StrCat("counter-of-many-that-have-a-long-name-", 1000 + i); }
  static std::string BatchName(int i) { return absl::StrCat("batch-of-many-that-have-a-long-name-", 1000 + i); }

  // Adds i + 1 to the counter, with the same request id each time, so that repeats do not count.
  Reply<v1::IncrementResponse> AddOnce(int i) {
    auto request = For<v1::IncrementRequest>(CounterName(i));
    request.set_amount(i + 1);
    request.set_request_id("the first");
    return Invoke(*counters_, &CounterStub::Increment, request);
  }
  Reply<v1::GetValueResponse> Value(int i) {
    return Invoke(*counters_, &CounterStub::GetValue, For<v1::GetValueRequest>(CounterName(i)));
  }

  // Writes counters, and batches whose alarm comes after `delay`; stops the server, and moves all data to table files.
  void Prepare(absl::Duration delay) {
    Serve();
    for (int i = 0; i < kCounters; ++i) ASSERT_TRUE(AddOnce(i).ok());
    for (int i = 0; i < kBatches; ++i) {
      auto configure = For<v1::ConfigureBatchRequest>(BatchName(i));
      configure.mutable_config()->mutable_delay()->set_seconds(absl::ToInt64Seconds(delay));
      ASSERT_TRUE(Invoke(*batches_, &BatchStub::ConfigureBatch, configure).ok());
      auto add = For<v1::AddItemsRequest>(BatchName(i));
      add.add_items("an item");
      ASSERT_TRUE(Invoke(*batches_, &BatchStub::AddItems, add).ok());
    }
    Stop();
    storage::RawFlush(data_dir());
  }

  std::string TableOf(const std::string& family) {
    const std::vector<std::string> tables = storage::RawTables(data_dir(), family);
    EXPECT_FALSE(tables.empty()) << family;
    return tables.at(0);
  }
  static void ExpectDataLoss(const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
    EXPECT_EQ(ReasonOf(status), "DATA_CORRUPT");
  }

  // Expects that each counter has its value or answers DATA_LOSS; returns the counters that answer DATA_LOSS.
  std::set<int> CountersHit() {
    std::set<int> hit;
    for (int i = 0; i < kCounters; ++i) {
      const auto value = Value(i);
      if (value.ok()) {
        EXPECT_EQ(value->value(), i + 1) << CounterName(i);
      } else {
        ExpectDataLoss(value.status);
        hit.insert(i);
      }
    }
    return hit;
  }

  // Lists all objects and continues past damage; returns the names, and how many pages failed.
  std::pair<std::set<std::string>, int> List() {
    std::set<std::string> names;
    int damaged = 0;
    v1::ListObjectsRequest request;
    do {
      const auto page = Invoke(*objects_, &ObjectStub::ListObjects, request);
      if (page.ok()) {
        for (const auto& object : page->objects()) EXPECT_TRUE(names.insert(object.object().name()).second);
        request.set_page_token(page->next_page_token());
      } else {
        ExpectDataLoss(page.status);
        ++damaged;
        const auto info = DetailOf<google::rpc::ErrorInfo>(page.status);
        const auto token = info.metadata().find("next_page_token");
        request.set_page_token(token == info.metadata().end() ? "" : token->second);
      }
    } while (!request.page_token().empty() && damaged < 10);
    return {names, damaged};
  }

  std::unique_ptr<CounterStub> counters_;
  std::unique_ptr<BatchStub> batches_;
  std::unique_ptr<ObjectStub> objects_;
};

TEST_F(DamageAnswers, AFlippedBitInTheCatalogIsDataLossOfTheObjectsThatItHits) {
  Prepare(absl::Hours(1));
  const std::string table = TableOf("catalog");
  storage::FlipBit(table, 5, 0);
  Serve();
  const std::set<int> hit = CountersHit();
  EXPECT_FALSE(hit.empty());
  EXPECT_LT(hit.size(), static_cast<size_t>(kCounters));
  EXPECT_THAT(server_->Log(), HasSubstr("event=catalog_damaged"));
  const auto& [names, damaged] = List();
  EXPECT_EQ(damaged, 1);
  EXPECT_LT(names.size(), static_cast<size_t>(kCounters + kBatches));
  EXPECT_GT(names.size(), 50u);
  for (int i : hit) {
    EXPECT_FALSE(names.contains(CounterName(i)));
    // A damaged object is not begun anew, not described as new, and not removed.
    ExpectDataLoss(AddOnce(i).status);
    ExpectDataLoss(Increment(CounterName(i)).status);
    ExpectDataLoss(
        Invoke(*objects_, &ObjectStub::DescribeObject, For<v1::DescribeObjectRequest>(CounterName(i), "Counter"))
            .status);
    ExpectDataLoss(
        Invoke(*objects_, &ObjectStub::DeleteAll, For<v1::DeleteAllRequest>(CounterName(i), "Counter")).status);
  }
  // Everything else works: old objects, new ones, and deletions.
  const auto unhurt = [&](int i) { return !hit.contains(i); };
  for (int i = 0; i < kCounters; ++i) {
    if (!unhurt(i)) continue;
    EXPECT_EQ(AddOnce(i)->value(), i + 1);
    EXPECT_EQ(Increment(CounterName(i))->value(), i + 2);
  }
  EXPECT_EQ(Increment("new")->value(), 1);
  // The answers are the same after a kill and after a stop.
  server_->Kill();
  Serve();
  const auto expect_later_values = [&](const std::set<int>& lost) {
    for (int i = 0; i < kCounters; ++i) {
      const auto value = Value(i);
      if (lost.contains(i)) {
        ExpectDataLoss(value.status);
      } else {
        EXPECT_EQ(value->value(), unhurt(i) ? i + 2 : i + 1) << i;
      }
    }
    EXPECT_EQ(Increment("new")->value(), 2 + (lost.empty() ? 1 : 0));
  };
  expect_later_values(hit);
  Stop();
  // Once the bit is flipped back, everything can be read again.
  storage::FlipBit(table, 5, 0);
  Serve();
  expect_later_values({});
  EXPECT_EQ(List().second, 0);
}

TEST_F(DamageAnswers, AFlippedBitInAnyFamilyHidesNothing) {
  Prepare(absl::Hours(1));
  for (const char* family : {"default", "catalog", "alarms", "packed", "requests"}) {
    const std::string table = TableOf(family);
    const size_t bytes = std::filesystem::file_size(table);
    for (const size_t byte : {size_t{5}, bytes / 3, bytes / 2}) {
      // The properties at the end of these families' tables are read at the start, and damage there stops the start.
      const bool stops = std::string(family) == "default" || std::string(family) == "catalog";
      if (stops && byte + 1500 > bytes && byte != 5) continue;
      SCOPED_TRACE(absl::StrCat("byte ", byte, " of ", bytes, " of ", family));
      storage::FlipBit(table, byte, 3);
      Serve();
      const std::set<int> hit = CountersHit();
      if (std::string(family) != "catalog" && std::string(family) != "packed") EXPECT_TRUE(hit.empty());
      EXPECT_LT(hit.size(), static_cast<size_t>(kCounters));
      for (int i = 0; i < kCounters; ++i) {
        // The repeat counts once, or the server answers that it cannot say.
        const auto again = AddOnce(i);
        if (again.ok()) {
          EXPECT_EQ(again->value(), i + 1) << i;
        } else {
          ExpectDataLoss(again.status);
          if (std::string(family) != "requests") EXPECT_TRUE(hit.contains(i)) << i;
        }
        if (!hit.contains(i)) EXPECT_EQ(Value(i)->value(), i + 1) << i;
      }
      const auto& [names, damaged] = List();
      EXPECT_EQ(names.size() < kCounters + kBatches, damaged > 0);
      EXPECT_EQ(damaged > 0, std::string(family) == "catalog");
      Stop();
      storage::FlipBit(table, byte, 3);
    }
  }
  Serve();
  EXPECT_TRUE(CountersHit().empty());
}

TEST_F(DamageAnswers, AlarmsComeThoughTheirIndexIsDamaged) {
  Prepare(absl::Seconds(20));
  for (const auto& table : storage::RawTables(data_dir(), "alarms")) {
    // One bit is in the entries and one at the end of the table, so that nothing in the table can be read.
    storage::FlipBit(table, 5, 0);
    storage::FlipBit(table, std::filesystem::file_size(table) - 20, 0);
  }
  Serve();
  for (int i = 0; i < kBatches; ++i) {
    const auto status = [&] {
      return Invoke(*batches_, &BatchStub::GetBatchStatus, For<v1::GetBatchStatusRequest>(BatchName(i)));
    };
    for (int tries = 0; tries < 400 && status()->processed_count() == 0; ++tries)
      absl::SleepFor(absl::Milliseconds(100));
    ASSERT_EQ(status()->processed_count(), 1) << BatchName(i);
  }
  EXPECT_THAT(server_->Log(), HasSubstr("event=alarm_index_damaged"));
}

// Records are found by their age. Records whose age cannot be read stay; the others are removed when they are old, so
// that a request with the same id runs again.
TEST_F(DamageAnswers, OldRequestRecordsAreRemovedThoughTheirAgesAreDamaged) {
  Prepare(absl::Hours(1));
  const std::string table = TableOf("requests");
  const size_t bytes = std::filesystem::file_size(table);
  storage::FlipBit(table, bytes * 3 / 4, 0);
  Serve("storage { column_families_max: 150 request_record_age_ms: 1000 }");
  for (int tries = 0; tries < 100 && server_->Log().find("event=request_records_damaged") == std::string::npos;
       ++tries) {
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_THAT(server_->Log(), HasSubstr("event=request_records_damaged"));
  const auto done_again = [&] {
    std::vector<int> again;
    for (int i = 0; i < kCounters; ++i) {
      const auto reply = AddOnce(i);
      EXPECT_TRUE(reply.ok() || reply.status.error_code() == grpc::StatusCode::DATA_LOSS);
      if (reply.ok() && reply->value() == 2 * (i + 1)) again.push_back(i);
    }
    return again.size();
  };
  size_t most = 0;
  for (int tries = 0; tries < 50 && most < kCounters / 2; ++tries) {
    most = std::max(most, done_again());
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_GE(most, size_t{kCounters / 2});
}

TEST_F(DamageAnswers, ATableOfTheStoreItselfThatCannotBeOpenedStopsTheStartAndIsNamed) {
  Prepare(absl::Hours(1));
  const std::string table = TableOf("default");
  storage::FlipBit(table, std::filesystem::file_size(table) - 1, 0);
  server_ = nullptr;
  const auto exit = ServerProcess::RunToEnd({"--listen", "127.0.0.1:0", "--data-dir", data_dir()});
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.output, HasSubstr(table));
  EXPECT_THAT(exit.output, HasSubstr("back from a copy"));
}

TEST_F(DamageAnswers, PagesOfTheLastBatchThatAreZerosAfterAPowerFailureAreATornTail) {
  // No object moves, and no fold comes, so that the last request makes the last batch.
  const std::string config = "storage { column_families_max: 0 fold_interval_ms: 60000 } actors { executors: 1 }";
  Serve(config);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(AddOnce(i).ok());
  auto put = For<v1::PutEntriesRequest>("large");
  for (int i = 0; i < 10; ++i) {
    auto* const entry = put.add_entries();
    entry->set_key(absl::StrCat(i));
    entry->set_value(std::string(10'000, 'w'));
  }
  ASSERT_TRUE(Invoke(*objects_, &ObjectStub::PutEntries, put).ok());
  server_->Kill();
  const std::string path = data_dir() + "/commit-log/0000/00000001.log";
  std::string log = storage::ReadFile(path);
  const uint64_t run = storage::ParseLogSegmentHeader(log)->run;
  size_t last = 0;
  size_t end = storage::kLogSegmentHeaderBytes;
  while (const auto record = storage::ParseLogRecord(absl::string_view(log).substr(end), run, 1)) {
    last = end;
    end += storage::InLogBlocks(storage::kLogRecordHeaderBytes + record->payload.size());
  }
  // In the batch of the put, which is the last one, a page in the middle is zeroed, and all pages from a later one on.
  constexpr size_t kPage = storage::kLogBlockBytes;
  ASSERT_GT(end - last, 20 * kPage);
  log.replace(last + 7 * kPage, kPage, kPage, '\0');
  log.replace(last + 15 * kPage, end - last - 15 * kPage, end - last - 15 * kPage, '\0');
  storage::WriteFile(path, log);
  Serve(config);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Value(i)->value(), i + 1) << i;
  v1::ListEntriesRequest list = For<v1::ListEntriesRequest>("large");
  EXPECT_EQ(Invoke(*objects_, &ObjectStub::ListEntries, list)->entries_size(), 0);
  // The server continues from there.
  EXPECT_EQ(Increment(CounterName(0))->value(), 2);
  server_->Kill();
  Serve(config);
  EXPECT_EQ(Value(0)->value(), 2);
}

}  // namespace
}  // namespace holdfast::testing
