// Batches through crashes and through the migration from version 1.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/catalog.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "tests/unit/actors/objects/batch_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::SizeIs;

class BatchCrashTest : public BatchProcessorTest {};

// --- Crashes

TEST_F(BatchCrashTest, EachItemIsProcessedExactlyOnceAndInOrderThroughCrashesAtAnyPoint) {
  for (uint64_t run : simulation::Seeds(60)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(2) * 1000);
    options.idle_timeout = absl::Milliseconds(dice.OneIn(2) ? 300 : 10'000);
    const std::string name = absl::StrCat("batch", run);
    Start();
    v1::ConfigureBatchRequest configure;
    configure.mutable_config()->set_max_items(static_cast<int32_t>(dice.Between(3, 40)));
    SetDuration(500'000, configure.mutable_config()->mutable_delay());
    ASSERT_TRUE(Ask(name, &BatchProcessor::ConfigureBatch, configure)->ok());
    // By the first item of a call: its number of items, and its first sequence if it was acknowledged.
    std::map<std::string, std::pair<int, int64_t>> calls;
    int next_item = 0;
    for (int life = 0; life < 6; ++life) {
      std::vector<std::pair<std::string, std::shared_ptr<Sent<v1::AddItemsResponse>>>> added;
      for (int i = 0; i < 15; ++i) {
        if (dice.OneIn(5)) {
          Send(name, &BatchProcessor::FlushBatch, v1::FlushBatchRequest());
        } else {
          const int count = static_cast<int>(dice.Between(1, 6));
          const auto items = Numbers(next_item, count);
          next_item += count;
          calls[items[0]] = {count, 0};
          added.emplace_back(items[0], SendAdd(items, name));
        }
        for (uint64_t steps = dice.Below(6); steps > 0; --steps) {
          if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(100));
        }
      }
      for (const auto& [item, outcome] : added) {
        if (outcome->ok()) calls[item].second = outcome->response.first_sequence();
      }
      Start();
    }
    node->Advance(absl::Seconds(10));
    EXPECT_EQ(Status(name).pending_count(), 0);
    const auto items = Processed(name);
    EXPECT_EQ(Status(name).processed_count(), static_cast<int64_t>(items.size()));
    std::map<std::string, int64_t> sequences;
    for (size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(items[i].sequence(), static_cast<int64_t>(i + 1));
      EXPECT_TRUE(sequences.emplace(items[i].item(), items[i].sequence()).second) << "twice: " << items[i].item();
      if (i > 0) EXPECT_GE(FromWire(items[i].process_time()), FromWire(items[i - 1].process_time()));
    }
    for (const auto& [first, call] : calls) {
      const auto& [count, sequence] = call;
      const bool there = sequences.contains(first);
      if (sequence != 0) {
        EXPECT_TRUE(there) << "acknowledged and lost: " << first;
        EXPECT_EQ(sequences[first], sequence);
      }
      const int number = std::stoi(first.substr(4));
      for (int i = number; i < number + count; ++i) {
        const auto it = sequences.find(absl::StrCat("item", i));
        EXPECT_EQ(it != sequences.end(), there) << "half of a call: " << i;
        if (there && it != sequences.end()) EXPECT_EQ(it->second, sequences[first] + i - number);
      }
    }
    ExpectAlarmIndexConsistent(BatchProcessor::Class(), {name});
    SendCleanup(BatchProcessor::Class(), name);
    node->Settle();
    EXPECT_EQ(recording.EntryCount(), 0u);
    if (HasFailure()) return;
  }
}

// --- The migration from version 1

class BatchMigrationTest : public BatchProcessorTest {
 protected:
  // Writes the data of version 1 of the program: processed items without their time, and some that are pending.
  void WriteVersion1(const std::string& name, int processed, int pending) {
    storage::WriteSet object, catalog;
    storage::v1::ObjectHeader header;
    header.set_schema_version(1);
    header.set_create_time_us(absl::ToUnixMicros(clock.Now()));
    object.Put(std::string(1, storage::kObjectHeaderKind), header.SerializeAsString());
    storage::v1::BatchState state;
    state.set_next_sequence(processed + pending + 1);
    state.set_processed_count(processed);
    state.set_pending_count(pending);
    state.set_pending_bytes(5 * pending);
    object.Put(absl::StrCat(std::string(1, storage::kEntryKind), "state"), state.SerializeAsString());
    for (int i = 1; i <= processed + pending; ++i) {
      std::string key(1, storage::kRowKind);
      storage::AppendUint16(&key, i <= processed ? 2 : 1);
      storage::AppendInt64(&key, i);
      storage::v1::ProcessedItemRow row;
      row.set_sequence(i);
      row.set_item("item0");
      object.Put(key, row.SerializeAsString());
    }
    catalog.Put(Key(BatchProcessor::Class(), name).encoded(), storage::CatalogValue(0, header));
    storage::Location packed{storage::FamilyId::kPacked, ""};
    storage::AppendUint16(&packed.prefix, static_cast<uint16_t>(Key(BatchProcessor::Class(), name).shard()));
    packed.prefix += Key(BatchProcessor::Class(), name).encoded();
    const storage::Location catalogs{storage::FamilyId::kCatalog, ""};
    const storage::KeyspaceWrites writes[] = {{&packed, &object}, {&catalogs, &catalog}};
    ASSERT_TRUE(store.CommitSync(writes).ok());
  }
  // Returns how many of the stored processed items have a time.
  int Timed(const std::string& name) {
    int timed = 0;
    for (const auto& [key, value] : KeysOf(BatchProcessor::Class(), name)) {
      if (key.substr(0, 3) != std::string("\x20\x00\x02", 3)) continue;
      storage::v1::ProcessedItemRow row;
      EXPECT_TRUE(row.ParseFromString(value));
      if (row.process_time_us() != 0) ++timed;
    }
    return timed;
  }
};

TEST_F(BatchMigrationTest, GivesEachProcessedItemATimeAndKeepsTheRest) {
  WriteVersion1("mail", 30, 5);
  Start();
  const auto items = Processed();
  ASSERT_THAT(items, SizeIs(30));
  for (const auto& item : items) EXPECT_EQ(FromWire(item.process_time()), clock.Now());
  EXPECT_EQ(Status().pending_count(), 5);
  EXPECT_EQ(HeaderOf(BatchProcessor::Class(), "mail")->schema_version(), 2);
  EXPECT_EQ(Flush(), 5);
  EXPECT_EQ(Add({"new"}).first_sequence(), 36);
}

TEST_F(BatchMigrationTest, ACrashAtAnyStepLeavesEitherVersionWhole) {
  bool seen_old = false;
  bool seen_new = false;
  for (int crash_after = 0; crash_after < 400; crash_after += 10) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    const std::string name = absl::StrCat("mail", crash_after);
    Crash();
    store.set_cold(false);
    // There are more items than one read looks at on the executor.
    WriteVersion1(name, 700, 3);
    Start();
    store.set_cold(true);
    auto sent = Send(name, &BatchProcessor::GetBatchStatus, v1::GetBatchStatusRequest());
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const bool answered = sent->ok();
    Crash();
    const int64_t version = HeaderOf(BatchProcessor::Class(), name)->schema_version();
    EXPECT_EQ(Timed(name), version == 2 ? 700 : 0);
    EXPECT_TRUE(version == 1 || version == 2);
    if (answered) EXPECT_EQ(version, 2);
    (version == 2 ? seen_new : seen_old) = true;
    store.set_cold(false);
    Start();
    EXPECT_THAT(Processed(name), SizeIs(700));
    EXPECT_EQ(Timed(name), 700);
    EXPECT_EQ(Status(name).pending_count(), 3);
  }
  EXPECT_TRUE(seen_old && seen_new);
}

TEST_F(BatchMigrationTest, AStoreThatIsNewerIsRefusedUntouched) {
  WriteVersion1("mail", 3, 0);
  Start();
  Status();
  Crash();
  // The header is like that of a later program.
  storage::v1::ObjectHeader header = *HeaderOf(BatchProcessor::Class(), "mail");
  header.set_schema_version(3);
  storage::WriteSet object;
  object.Put(std::string(1, storage::kObjectHeaderKind), header.SerializeAsString());
  storage::Location packed{storage::FamilyId::kPacked, ""};
  storage::AppendUint16(&packed.prefix, static_cast<uint16_t>(Key(BatchProcessor::Class(), "mail").shard()));
  packed.prefix += Key(BatchProcessor::Class(), "mail").encoded();
  const storage::KeyspaceWrites writes[] = {{&packed, &object}};
  ASSERT_TRUE(store.CommitSync(writes).ok());
  const auto before = recording.Dump();
  Start();
  auto sent = SendAdd({"a"});
  node->Settle();
  EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER));
  EXPECT_EQ(recording.Dump(), before);
}

}  // namespace
}  // namespace holdfast::actors
