// A fixture for the tests of moves: a large object with a model of its state after each turn, so that its state after a
// crash can be compared with the acknowledged turns.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_RELOCATION_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_RELOCATION_FIXTURE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/store/write_set.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {

class RelocationTest : public ScriptedTest {
 protected:
  static constexpr size_t kValueBytes = 250'000;

  // The content of an object: its keys, each with the byte that its value repeats; and the alarm.
  struct Content {
    std::map<std::string, char> keys;
    std::optional<absl::Time> alarm;

    bool operator==(const Content&) const = default;
    friend void PrintTo(const Content& content, std::ostream* out) {
      for (const auto& [key, value] : content.keys) *out << key << "=" << value << " ";
      if (content.alarm) *out << "alarm " << *content.alarm;
    }
  };

  // An object and its state after each of the turns that were sent; the turns take effect in that order.
  class Tracked {
   public:
    Tracked(RelocationTest* test, std::string name) : test_(test), name_(std::move(name)) {}

    const std::string& name() const { return name_; }
    const Content& latest() const { return states_.back(); }

    void Put(const std::string& key, char value, size_t bytes = kValueBytes) {
      Content next = latest();
      next.keys[key] = value;
      Add(next, test_->SendPut(name_, key, std::string(bytes, value)));
    }
    void Delete(const std::string& key) {
      Content next = latest();
      next.keys.erase(key);
      Add(next, test_->Send(name_, [key](ScriptedObject& self) -> Task<absl::Status> {
        const std::vector<std::string> keys = {key};
        co_return (co_await self.storage().Delete(keys)).status();
      }));
    }
    void DeleteAll(bool keep_alarm = false) {
      Content next;
      if (keep_alarm) next.alarm = latest().alarm;
      Add(next, test_->SendDeleteAll(test_->scripted, name_, keep_alarm));
    }
    void SetAlarm(std::optional<absl::Time> time) {
      Content next = latest();
      next.alarm = time;
      Add(next, test_->Send(name_, [time](ScriptedObject& self) -> Task<absl::Status> {
        time ? self.storage().SetAlarm(*time) : self.storage().DeleteAlarm();
        co_return absl::OkStatus();
      }));
    }
    // Fails after a write, so that the instance is reset.
    void Fail() {
      test_->Send(name_, [](ScriptedObject& self) -> Task<absl::Status> {
        (void)self.storage().Put("0", "dropped");
        co_return NotFound("fails");
      });
    }
    // A read now must see the state after the turns so far.
    void Read() { reads_.emplace_back(test_->SendRead(name_), latest()); }

    void CheckReads() {
      for (const auto& [read, expected] : reads_) {
        if (!read->done()) continue;
        EXPECT_TRUE(read->ok()) << *read->status;
        EXPECT_EQ(read->response, expected);
      }
    }
    // Checks an object after a restart of the node: it has the state after some of the turns, which include all that
    // were acknowledged.
    void CheckAfterCrash() {
      CheckReads();
      reads_.clear();
      size_t acknowledged = 0;
      for (size_t i = 0; i < turns_.size(); ++i) {
        if (turns_[i]->ok()) acknowledged = i + 1;
      }
      auto now = test_->SendRead(name_);
      test_->node->Settle();
      ASSERT_TRUE(now->ok());
      EXPECT_NE(std::find(states_.begin() + static_cast<int64_t>(acknowledged), states_.end(), now->response),
                states_.end())
          << "lost: " << ::testing::PrintToString(now->response) << " of "
          << ::testing::PrintToString(states_[acknowledged]);
      states_ = {now->response};
      turns_.clear();
    }
    // Checks an object without a crash: it has the state after all turns.
    void CheckAll() {
      CheckReads();
      for (const auto& turn : turns_) EXPECT_TRUE(turn->ok());
      auto now = test_->SendRead(name_);
      test_->node->Settle();
      ASSERT_TRUE(now->ok());
      EXPECT_EQ(now->response, latest());
    }

   private:
    void Add(Content next, std::shared_ptr<Outcome> turn) {
      states_.push_back(std::move(next));
      turns_.push_back(std::move(turn));
    }

    RelocationTest* const test_;
    const std::string name_;
    std::vector<Content> states_ = {Content()};  // one more than turns_
    std::vector<std::shared_ptr<Outcome>> turns_;
    std::vector<std::pair<std::shared_ptr<Sent<Content>>, Content>> reads_;
  };

  std::shared_ptr<Sent<Content>> SendRead(const std::string& name) {
    auto sent = std::make_shared<Sent<Content>>();
    SendBody(
        scripted, name,
        [sent](Object& object) { return ReadInto(static_cast<ScriptedObject&>(object), &sent->response); }, sent);
    return sent;
  }
  // Writes `keys` keys of `kValueBytes` each, "0", "2", and so on, so that other keys fit between them.
  void Fill(Tracked* object, int keys) {
    for (int i = 0; i < keys; ++i) object->Put(absl::StrCat(absl::Hex(2 * i, absl::kZeroPad2)), 'a');
    node->Settle();
  }
  bool HasOwnFamily(const std::string& name) {
    const auto catalog = CatalogOf(scripted, name);
    return catalog && catalog->family_generation() != 0;
  }
  // Removes everything that is stored, so that the next run begins anew.
  void Wipe() {
    Crash();
    for (const storage::OwnFamily& family : store.ListOwnFamilies()) (void)store.DropFamily(family.id);
    storage::WriteSet all;
    all.DeleteRange(storage::KeyRange::All());
    for (storage::FamilyId family :
         {storage::FamilyId::kCatalog, storage::FamilyId::kAlarms, storage::FamilyId::kPacked}) {
      const storage::Location location{family, ""};
      const storage::KeyspaceWrites writes{&location, &all};
      EXPECT_TRUE(store.CommitSync({&writes, 1}).ok());
    }
  }

 private:
  static Task<absl::Status> ReadInto(ScriptedObject& object, Content* content) {
    auto entries = co_await object.storage().List({});
    if (!entries.ok()) co_return entries.status();
    for (const auto& [key, value] : *entries) {
      content->keys[key] = value.find_first_not_of(value[0]) == value.npos ? value[0] : '!';
    }
    content->alarm = object.storage().alarm();
    co_return absl::OkStatus();
  }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_RELOCATION_FIXTURE_H_
