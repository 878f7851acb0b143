#include "tests/property/sequence.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::property {
namespace {

constexpr int kObjectsMin = 4;
constexpr int kObjectsMore = 4;
constexpr absl::Duration kLeaseMin = absl::Seconds(4);
constexpr absl::Duration kWatchTime = absl::Milliseconds(1500);
constexpr int64_t kBurstMax = 12;
constexpr uint64_t kCallsBeforeKillMax = 15;
constexpr uint64_t kStepsBeforeKillMax = 12;
// The first of 1,000 kinds of steps that is more than a request; and how often a step is picked from the kinds after it
// alone.
constexpr uint64_t kFirstToNode = 850;
constexpr uint64_t kMoreOftenOneIn = 8;

}  // namespace

Sequence::Sequence(uint64_t seed, Profile profile, Subject* subject, Counts* counts)
    : seed_(seed), profile_(profile), subject_(subject), counts_(counts), dice_(seed), generator_(&dice_, profile) {
  subject_->Reset(seed);
  subject_->StartNode(seed);
  subject_->store().set_cold(profile_ == Profile::kSql && dice_.OneIn(3));
  const uint64_t count = kObjectsMin + (profile_ == Profile::kSql ? 0 : dice_.Below(kObjectsMore));
  for (uint64_t i = 0; i < count; ++i) objects_[absl::StrCat("s", seed, "-o", i)].heavy = dice_.OneIn(2);
}

Sequence::~Sequence() {
  for (auto& [name, object] : objects_) object.calls.clear();
  subject_->EndNode();
}

std::vector<std::string> Sequence::Run(int steps) {
  ++counts_->sequences;
  for (step_ = 0; step_ < steps && differences_.empty(); ++step_) {
    ++counts_->steps;
    Step();
    Collect();
  }
  if (differences_.empty()) Settle();
  for (auto& [name, object] : objects_) {
    if (differences_.empty()) Verify(name);
  }
  if (differences_.empty()) CheckCatalog();
  if (differences_.empty()) CleanUp();
  return differences_;
}

void Sequence::Step() {
  uint64_t kind = dice_.Below(1000);
  // Sequences of SQL are short, so that more of their steps concern the node.
  if (profile_ == Profile::kSql && dice_.OneIn(kMoreOftenOneIn)) kind = kFirstToNode + kind % (1000 - kFirstToNode);
  if (kind < kFirstToNode) {
    SendSome();
  } else if (kind < 880) {
    Burst();
  } else if (kind < 925) {
    Advance(absl::Milliseconds(static_cast<int64_t>(dice_.Below(3000))));
  } else if (kind < 938) {
    Advance(absl::Seconds(12));  // idle objects are passivated
  } else if (kind < 960) {
    subject_->node().host().PassivateSoon(storage::ObjectKey("default", "Object", AnyObject()));
  } else if (kind < 964) {
    subject_->store().set_cold(dice_.OneIn(2));
  } else if (kind < 972) {
    Watch();
  } else if (kind < 976) {
    WatchAndKill();
  } else if (kind < 981) {
    Restart();
  } else if (kind < 994) {
    Kill();
  } else {
    Settle();
    if (differences_.empty()) Verify(AnyObject());
  }
}

const std::string& Sequence::AnyObject() {
  return std::next(objects_.begin(), static_cast<int64_t>(dice_.Below(objects_.size())))->first;
}

void Sequence::SendOne(const std::string& name) {
  Tested& object = objects_.at(name);
  const uint64_t kind = dice_.Below(20);
  if (kind < 2 && !object.known.empty()) {
    Replay(name);
  } else if (kind < 4 && !object.pages.empty()) {
    GoOn(name);
  } else if (kind < 7 && !object.outstanding.empty()) {
    const std::string token = std::move(object.outstanding.back());
    object.outstanding.pop_back();
    SendFirst(generator_.Acknowledge(name, token, subject_->now_us()));
  } else {
    SendFirst(generator_.Next(name, object.worlds.front(), object.tokens, subject_->now_us(), object.heavy));
  }
}

void Sequence::Burst() {
  const std::string& name = AnyObject();
  for (uint64_t i = dice_.Between(2, kBurstMax); i > 0; --i) {
    if (dice_.OneIn(profile_ == Profile::kSql ? 60 : 8)) {
      v1::DeleteAllRequest request;
      request.set_keep_alarm(dice_.OneIn(2));
      Send({.object = name, .request = request});
    } else {
      SendOne(name);
    }
    for (uint64_t j = dice_.Below(4); j > 0; --j) subject_->node().Step(dice_.Below(UINT64_MAX));
  }
}

void Sequence::SendSome() {
  SendOne(AnyObject());
  // The request runs to its end, or step by step while other requests come.
  if (dice_.OneIn(3)) {
    Settle();
    return;
  }
  for (uint64_t i = dice_.Below(6); i > 0; --i) subject_->node().Step(dice_.Below(UINT64_MAX));
}

void Sequence::Replay(const std::string& name) {
  Tested& object = objects_.at(name);
  // A record of this age may have expired or not, so that the test forgets its request.
  const int64_t oldest_us = subject_->now_us() - absl::ToInt64Microseconds(kRecordAge);
  std::erase_if(object.known, [&](const Known& known) { return known.sent_us <= oldest_us; });
  if (object.known.empty()) return;
  ++counts_->replays;
  Operation operation = object.known[dice_.Below(object.known.size())].operation;
  if (dice_.OneIn(5)) {
    Operation other = generator_.Put(name);
    std::get<v1::PutEntriesRequest>(other.request).set_request_id(operation.request_id());
    operation = std::move(other);
  }
  Send(std::move(operation));
}

void Sequence::GoOn(const std::string& name) {
  Tested& object = objects_.at(name);
  const size_t index = dice_.Below(object.pages.size());
  Page page = std::move(object.pages[index]);
  object.pages.erase(object.pages.begin() + static_cast<int64_t>(index));
  Send({.object = name, .request = page.request, .after_key = page.after_key, .left = page.left});
}

void Sequence::Advance(absl::Duration time) {
  Settle();
  subject_->node().Advance(time);
}

void Sequence::Restart() {
  ++counts_->restarts;
  Settle();
  subject_->node().host().Stop();
  subject_->node().Settle();
  subject_->EndNode();
  if (dice_.OneIn(4)) subject_->ReopenStore();
  subject_->StartNode(dice_.Below(UINT64_MAX));
}

void Sequence::Kill() {
  ++counts_->kills;
  for (uint64_t i = dice_.Below(kCallsBeforeKillMax); i > 0; --i) SendOne(AnyObject());
  if (dice_.OneIn(4)) {
    subject_->node().SettleWithoutCommits();
  } else {
    for (uint64_t i = dice_.Below(kStepsBeforeKillMax); i > 0; --i) subject_->node().Step(dice_.Below(UINT64_MAX));
  }
  Collect();
  for (auto& [name, object] : objects_) Fork(&object);
  subject_->EndNode();
  subject_->StartNode(dice_.Below(UINT64_MAX));
  if (!differences_.empty() || dice_.OneIn(3)) return;
  for (auto& [name, object] : objects_) {
    if (differences_.empty()) Verify(name);
  }
}

void Sequence::Watch() {
  Settle();
  const int64_t begin_us = subject_->now_us();
  std::vector<Delivered> delivered;
  auto& watchers = subject_->node().watchers();
  const auto watcher = watchers.Add({.ns = "default",
                                     .name_prefix = absl::StrCat("s", seed_, "-"),
                                     .outstanding_max = 1000,
                                     .lease = kLeaseMin + absl::Seconds(static_cast<int64_t>(dice_.Below(20)))},
                                    [&](const auto& delivery) {
                                      delivered.push_back({delivery, subject_->now_us()});
                                    });
  subject_->node().Advance(kWatchTime);
  watchers.Remove(*watcher);
  CompareDeliveries(delivered, begin_us, /*lost=*/false);
}

void Sequence::WatchAndKill() {
  ++counts_->kills;
  Settle();
  const int64_t begin_us = subject_->now_us();
  std::vector<Delivered> delivered;
  (void)subject_->node().watchers().Add(
      {.ns = "default", .name_prefix = absl::StrCat("s", seed_, "-"), .outstanding_max = 1000, .lease = kLeaseMin},
      [&](const auto& delivery) {
        delivered.push_back({delivery, subject_->now_us()});
      });
  for (uint64_t i = dice_.Below(kStepsBeforeKillMax); i > 0; --i) subject_->node().Step(dice_.Below(UINT64_MAX));
  subject_->EndNode();
  CompareDeliveries(delivered, begin_us, /*lost=*/true);
  subject_->StartNode(dice_.Below(UINT64_MAX));
}

}  // namespace holdfast::property
