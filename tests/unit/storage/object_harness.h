// One object's storage over a store, without an activation: the test awaits reads, ends turns and runs the work for the
// disk.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_OBJECT_HARNESS_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_OBJECT_HARNESS_H_

#include <gtest/gtest.h>

#include <coroutine>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/object/keyspace.h"
#include "storage/object/object_storage.h"
#include "storage/object/operation.h"
#include "storage/sql/database.h"
#include "storage/store/store.h"
#include "tests/simulation/manual_background.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {

class ObjectHarness {
 public:
  // `store` must outlive the harness.
  explicit ObjectHarness(Store* store, Location location = {FamilyId::kPacked, "object/"})
      : store_(store),
        pipeline_(store, &commits_, [](const absl::Status& status) { ADD_FAILURE() << status; }),
        keyspace_(std::move(location)),
        storage_(std::in_place, store, &reads_, &keyspace_, &sql_, &resumed_) {}
  ~ObjectHarness() { store_->WaitForCommits(); }

  ObjectStorage& storage() { return *storage_; }
  Keyspace& keyspace() { return keyspace_; }
  CommitPipeline& pipeline() { return pipeline_; }
  simulation::ManualBackground& reads() { return reads_; }
  simulation::ManualBackground& commits() { return commits_; }
  // The number of reads that were resumed, and how many of them went to the disk.
  int resumed() const { return resumed_.count; }
  int disk_reads() const { return disk_reads_; }

  // Awaits like co_await.
  template <typename T>
  absl::StatusOr<T> Await(StorageOp<T> read) {
    if (!read.await_ready()) {
      ++disk_reads_;
      const int resumed_before = resumed();
      read.await_suspend(std::noop_coroutine());
      EXPECT_EQ(resumed(), resumed_before);
      reads_.RunAll();
      EXPECT_EQ(resumed(), resumed_before + 1);
    }
    return read.await_resume();
  }

  // Ends the turn: its writes join the pipeline.
  void EndTurn() {
    pipeline_.Join(&keyspace_, &storage_->writes());
    storage_->DropTurn();
  }
  // Runs until everything is in the store.
  void Settle() {
    EndTurn();
    do {
      pipeline_.Submit();
      store_->WaitForCommits();
    } while (commits_.RunOne());
  }

  // Returns the contents of the object, turn included, with the kinds of its keys.
  Entries All() {
    Entries entries;
    View view(store_, &keyspace_.location(), keyspace_.Layers(&storage_->writes()), ReadTier::kDisk);
    EXPECT_THAT(view.Scan(KeyRange::All(), false,
                          [&](absl::string_view key, absl::string_view value) {
                            entries.emplace(std::string(key), std::string(value));
                            return true;
                          }),
                IsOk());
    return entries;
  }

  // Resets the object, with reads and commits still under way.
  void DestroyStorage() { storage_.reset(); }

 private:
  struct Resumed final : Resumer {
    void Resume(std::coroutine_handle<>) override { ++count; }
    int count = 0;
  };

  Store* const store_;
  simulation::ManualBackground reads_;
  simulation::ManualBackground commits_;
  CommitPipeline pipeline_;
  Keyspace keyspace_;
  const sql::Environment sql_{.workers = &reads_, .now = [this] { return now_; }};
  absl::Time now_ = absl::UnixEpoch();
  Resumed resumed_;
  int disk_reads_ = 0;
  std::optional<ObjectStorage> storage_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_OBJECT_HARNESS_H_
