// Carries out the reads of one keyspace: at once from memory, or on another thread against a copy of the pending
// writes.
//
// Threading: the keyspace's executor.

#ifndef HOLDFAST_STORAGE_OBJECT_KEYSPACE_READER_H_
#define HOLDFAST_STORAGE_OBJECT_KEYSPACE_READER_H_

#include <coroutine>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "storage/base/background.h"
#include "storage/object/keyspace.h"
#include "storage/object/operation.h"
#include "storage/object/preread.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

class KeyspaceReader : public Reader {
 public:
  // Everything pointed to must outlive this.
  KeyspaceReader(Store* store, Background* background, const Keyspace* keyspace, Resumer* resumer)
      : store_(store), background_(background), keyspace_(keyspace), resumer_(resumer) {}

  View MemoryView() override {
    return View(store_, &keyspace_->location(), keyspace_->Layers(turn_), ReadTier::kMemory, preread_.get());
  }
  void ReadFromDisk(const KeyRange& range, absl::AnyInvocable<void(View&)> read,
                    absl::AnyInvocable<void()> done) override {
    ReadOn(background_, range, std::move(read), std::move(done));
  }
  // Does the same as ReadFromDisk, on the threads of `background`.
  void ReadOn(Background* background, const KeyRange& range, absl::AnyInvocable<void(View&)> read,
              absl::AnyInvocable<void()> done) {
    auto pending = std::make_unique<WriteSet>();
    const std::vector<const WriteSet*> layers = keyspace_->Layers(turn_);
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) (*layer)->CopyRangeOnto(range, pending.get());
    background->Run(
        [store = store_, location = keyspace_->location(), pending = std::move(pending),
         read = std::move(read)]() mutable {
          View view(store, &location, {pending.get()}, ReadTier::kDisk);
          read(view);
        },
        std::move(done));
  }
  void Resume(std::coroutine_handle<> handler) override { resumer_->Resume(handler); }
  // Tells the store that reads in `range` follow.
  void Prefetch(const KeyRange& range) { store_->Prefetch(keyspace_->location(), range); }

  // Later reads are of `keyspace`; reads that run on another thread go on with the keyspace before.
  void set_keyspace(const Keyspace* keyspace) {
    keyspace_ = keyspace;
    preread_ = nullptr;
  }
  // Reads find there what it covers, until it is dropped: it must be before writes of the keyspace become durable.
  void set_preread(std::unique_ptr<const Preread> preread) { preread_ = std::move(preread); }
  void DropPreread() { preread_ = nullptr; }

 protected:
  // From now on reads see these writes before all others; null: none.
  void set_turn(const WriteSet* turn) { turn_ = turn; }

 private:
  Store* const store_;
  Background* const background_;
  const Keyspace* keyspace_;
  const WriteSet* turn_ = nullptr;
  std::unique_ptr<const Preread> preread_;
  Resumer* const resumer_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_KEYSPACE_READER_H_
