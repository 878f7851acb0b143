// The clients of a simulated cluster, and the way of a request from node to node.

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "tests/simulation/cluster_world.h"
#include "tests/simulation/models.h"

namespace holdfast::simulation {
namespace {

constexpr int kAttemptsMax = 8;
// Only the latest requests are sent again.
constexpr size_t kRecentMax = 12;
// A node seeks the owner of a shard for so long.
constexpr absl::Duration kRerouteTime = absl::Seconds(2);
// One message of so many between two nodes is lost.
constexpr uint64_t kLostBetweenNodes = 200;
constexpr absl::Duration kReadPatience = absl::Seconds(5);
constexpr absl::Duration kBetweenReads = absl::Milliseconds(100);
// A shard is served again after this time, once nothing goes wrong any more.
constexpr absl::Duration kServedAfter = absl::Seconds(30);

}  // namespace

std::string ClusterWorld::AnyRequest(const Tested& object) {
  // The first few kinds are reads.
  const uint64_t kind = mostly_reads_ && !dice_.OneIn(6) ? dice_.Below(7) : dice_.Below(20);
  const std::string amount = absl::StrCat(dice_.Between(1, 999));
  if (object.kind.model == &CounterModel()) {
    if (kind < 8) return "get";
    if (kind < 11) return "unique";
    return kind < 12 ? absl::StrCat("set ", amount) : absl::StrCat("add ", amount);
  }
  if (object.kind.model == &LedgerModel()) return kind < 8 ? "look" : absl::StrCat("move ", amount);
  const std::string key = absl::StrCat("k", dice_.Below(3));
  const std::string value = absl::StrCat("v", ++values_);
  if (kind < 7) return absl::StrCat("get ", key);
  if (kind < 9) return "list";
  if (kind < 11) return kind == 9 && dice_.OneIn(3) ? "wipe" : absl::StrCat("delete ", key);
  newest_[key] = value;
  return kind < 17 ? absl::StrCat("put ", key, " ", value) : absl::StrCat("put2 ", key, " ", value, " k9 ", value);
}

size_t ClusterWorld::AddRequest(size_t object, std::string text, bool with_id) {
  ++events_.requests;
  Request request{.object = object, .text = std::move(text)};
  if (with_id && !objects_[object].kind.model->OnlyReads(request.text)) {
    request.id = absl::StrCat("r", requests_.size());
  }
  requests_.push_back(std::move(request));
  return requests_.size() - 1;
}

void ClusterWorld::SendNew() {
  if (attempts_.size() >= clients_max_) return;
  const size_t object = dice_.Below(objects_.size());
  Send(AddRequest(object, AnyRequest(objects_[object]), /*with_id=*/!dice_.OneIn(4)),
       absl::Milliseconds(dice_.OneIn(2) ? dice_.Between(20, 500) : 5000));
}

void ClusterWorld::SendAgain() {
  if (attempts_.size() >= clients_max_) return;
  std::vector<size_t> known;
  const size_t first = requests_.size() - std::min(requests_.size(), kRecentMax);
  for (size_t i = first; i < requests_.size(); ++i) {
    if (!requests_[i].id.empty() && requests_[i].attempts < kAttemptsMax) known.push_back(i);
  }
  if (known.empty()) return;
  ++events_.repeated;
  Send(known[dice_.Below(known.size())], absl::Milliseconds(dice_.Between(20, 5000)));
}

void ClusterWorld::SendReads() {
  for (size_t i = 0; i < objects_.size(); ++i) {
    const Model* const model = objects_[i].kind.model;
    const char* const text = model == &CounterModel() ? "get" : model == &PlainModel() ? "list" : "look";
    const size_t request = AddRequest(i, text, /*with_id=*/false);
    const absl::Time until = fibers_.now() + kServedAfter;
    while (!requests_[request].reply && findings_.empty() && fibers_.now() < until) {
      const std::shared_ptr<Attempt> attempt = Send(request, kReadPatience);
      while (findings_.empty() && !attempt->ended) Step(attempt->give_up);
      if (!requests_[request].reply) RunUntil(fibers_.now() + kBetweenReads);
    }
    if (!findings_.empty()) return;
    if (!requests_[request].reply) Found(absl::StrCat("no answer to ", text, " of ", objects_[i].name));
  }
}

// --- The way of an attempt

std::shared_ptr<ClusterWorld::Attempt> ClusterWorld::Send(size_t request, absl::Duration patience) {
  const absl::Time now = fibers_.now();
  ClusterProcess* const entry = AnyProcess();
  auto attempt = std::make_shared<Attempt>(Attempt{.request = request,
                                                   .entry = entry == nullptr ? "" : entry->owner(),
                                                   .give_up = now + patience,
                                                   .reroute_until = now + kRerouteTime});
  Request& sent = requests_[request];
  ++moment_;
  if (sent.attempts++ == 0) sent.begin = moment_;
  ++sent.under_way;
  attempts_.push_back(attempt);
  Trace(absl::StrCat(attempt->entry, ": ", objects_[sent.object].name, " ", sent.text, " ", sent.id));
  agenda_.At(now + Latency(), [this, attempt] { ArriveAtEntry(attempt); });
  agenda_.At(attempt->give_up, [this, attempt] { OnUnknown(attempt); });
  return attempt;
}

void ClusterWorld::ArriveAtEntry(const std::shared_ptr<Attempt>& attempt) {
  if (attempt->ended) return;
  ClusterProcess* const entry = Find(attempt->entry);
  if (entry == nullptr || !entry->serving()) return OnRefused(attempt);
  if (entry->paused()) {
    agenda_.At(entry->link().paused_until, [this, attempt] { ArriveAtEntry(attempt); });
    return;
  }
  Route(attempt, entry);
}

void ClusterWorld::Route(const std::shared_ptr<Attempt>& attempt, ClusterProcess* entry) {
  const std::string to = entry->ForwardTo(objects_[requests_[attempt->request].object].key.shard());
  if (to.empty()) return Deliver(attempt, entry);
  ++events_.forwarded;
  if (dice_.OneIn(kLostBetweenNodes)) return;
  agenda_.At(fibers_.now() + Latency(), [this, attempt, to] { ArriveAtPeer(attempt, to); });
}

void ClusterWorld::ArriveAtPeer(const std::shared_ptr<Attempt>& attempt, const std::string& owner) {
  ClusterProcess* const process = Find(owner);
  if (process == nullptr || !process->serving()) return OnUnknown(attempt);
  if (process->paused()) {
    agenda_.At(process->link().paused_until, [this, attempt, owner] { ArriveAtPeer(attempt, owner); });
    return;
  }
  Deliver(attempt, process);
}

void ClusterWorld::Deliver(const std::shared_ptr<Attempt>& attempt, ClusterProcess* process) {
  const Request& request = requests_[attempt->request];
  const Tested& object = objects_[request.object];
  std::unique_ptr<Call> call = object.kind.make_call(request.text, request.id);
  call->request = attempt->request;
  call->outcome = [this](Call* ended, const absl::Status& status) { OnEnd(ended, status); };
  Call* const raw = call.get();
  calls_[raw] = {.attempt = attempt, .owner = process->owner(), .call = std::move(call)};
  process->hosts().Deliver(object.key, *object.kind.object_class, raw);
}

void ClusterWorld::OnEnd(Call* call, const absl::Status& status) {
  auto under_way = calls_.extract(call);
  const std::shared_ptr<Attempt> attempt = std::move(under_way.mapped().attempt);
  const std::string owner = std::move(under_way.mapped().owner);
  ended_.push_back(std::move(under_way.mapped().call));
  const absl::Time back = fibers_.now() + Latency();
  if (actors::ReasonOf(status) == v1::ERROR_REASON_WRONG_OWNER) {
    if (ClusterProcess* const process = Find(owner)) process->LookSoon();
    agenda_.At(back, [this, attempt] { Reroute(attempt); });
    return;
  }
  if (owner != attempt->entry && dice_.OneIn(kLostBetweenNodes)) return;
  if (!status.ok()) {
    agenda_.At(back, [this, attempt, status] { OnStatus(attempt, status); });
    return;
  }
  agenda_.At(back, [this, attempt, reply = call->ReplyText()] { OnReply(attempt, reply); });
}

void ClusterWorld::Reroute(const std::shared_ptr<Attempt>& attempt) {
  if (attempt->ended) return;
  ClusterProcess* const entry = Find(attempt->entry);
  if (entry == nullptr || !entry->serving()) return OnUnknown(attempt);
  if (fibers_.now() >= attempt->reroute_until) return OnRefused(attempt);
  ++events_.rerouted;
  entry->LookSoon();
  agenda_.At(fibers_.now() + absl::Milliseconds(dice_.Between(5, 50)), [this, attempt] { ArriveAtEntry(attempt); });
}

void ClusterWorld::LoseAttemptsOf(const std::string& owner) {
  const std::vector<std::shared_ptr<Attempt>> attempts = attempts_;
  for (const auto& attempt : attempts) {
    if (attempt->entry == owner) OnUnknown(attempt);
  }
  std::vector<std::shared_ptr<Attempt>> lost;
  for (auto call = calls_.begin(); call != calls_.end();) {
    if (call->second.owner != owner) {
      ++call;
      continue;
    }
    lost.push_back(call->second.attempt);
    call = calls_.erase(call);
  }
  // A host that gives its shards away refuses what waits in the order of a hash table, which is another in each run,
  // and calls are numbered in that order.
  absl::c_sort(lost, [](const auto& a, const auto& b) { return a->request < b->request; });
  for (const auto& attempt : lost) OnUnknown(attempt);
}

// --- Replies

void ClusterWorld::OnReply(const std::shared_ptr<Attempt>& attempt, const std::string& reply) {
  Request& request = requests_[attempt->request];
  const std::string& object = objects_[request.object].name;
  for (const std::optional<std::string>* before : {&request.reply, &request.unseen}) {
    if (*before && **before != reply && !request.id.empty()) {
      Found(absl::StrCat(object, ": ", request.text, " with the id ", request.id, " was answered twice: ", **before,
                         ", and ", reply));
    }
  }
  if (attempt->ended) {
    request.unseen = reply;
    return;
  }
  attempt->ended = true;
  std::erase(attempts_, attempt);
  --request.under_way;
  ++moment_;
  Trace(absl::StrCat(object, " ", request.text, " ", request.id, " -> ", reply));
  if (request.reply) return;
  request.reply = reply;
  request.end = moment_;
}

void ClusterWorld::OnRefused(const std::shared_ptr<Attempt>& attempt) {
  if (std::exchange(attempt->ended, true)) return;
  std::erase(attempts_, attempt);
  --requests_[attempt->request].under_way;
  ++events_.refused;
}

void ClusterWorld::OnUnknown(const std::shared_ptr<Attempt>& attempt) {
  if (std::exchange(attempt->ended, true)) return;
  std::erase(attempts_, attempt);
  Request& request = requests_[attempt->request];
  --request.under_way;
  ++request.unknown;
  Trace(absl::StrCat(objects_[request.object].name, " ", request.text, " ", request.id, " -> ?"));
}

void ClusterWorld::OnStatus(const std::shared_ptr<Attempt>& attempt, const absl::Status& status) {
  switch (actors::ReasonOf(status)) {
    case v1::ERROR_REASON_OBJECT_RESET:
    case v1::ERROR_REASON_MAILBOX_FULL:
    case v1::ERROR_REASON_SERVER_OVERLOADED:
    case v1::ERROR_REASON_DEADLINE_PASSED:
      return OnRefused(attempt);
    case v1::ERROR_REASON_OUTCOME_UNKNOWN:
      return OnUnknown(attempt);
    default:
      break;
  }
  // An object that could not be read.
  if (absl::IsUnavailable(status)) return OnRefused(attempt);
  const Request& request = requests_[attempt->request];
  Found(absl::StrCat(objects_[request.object].name, ": ", request.text, " failed: ", status.ToString()));
}

// --- The judgement

History ClusterWorld::HistoryOf(size_t object) const {
  History history;
  for (const Request& request : requests_) {
    if (request.object != object) continue;
    if (!request.reply && request.unknown == 0 && request.under_way == 0) continue;
    // A statement that is late may carry out what nobody waits for.
    history.push_back(
        {.request = request.text,
         .reply = request.reply,
         .begin = request.begin,
         .end = request.reply ? request.end : kNever,
         .note = request.id.empty() ? "" : absl::StrCat(request.id, ", ", request.attempts, " attempts")});
  }
  return history;
}

void ClusterWorld::JudgeAll() {
  for (size_t i = 0; i < objects_.size() && findings_.empty(); ++i) {
    const History history = HistoryOf(i);
    for (const Operation& operation : history) events_.unknown += operation.reply ? 0 : 1;
    const Model& model = *objects_[i].kind.model;
    const Judgement judgement = Judge(model, history);
    events_.states += static_cast<int64_t>(judgement.states);
    if (const std::string complaint = Complaint(model, history, judgement); !complaint.empty()) {
      Found(absl::StrCat(objects_[i].name, ": ", complaint));
    }
  }
}

}  // namespace holdfast::simulation
