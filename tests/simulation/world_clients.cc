// The clients of a simulation: what they ask, what they are told, and what they make of it.

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "actors/wire/errors.h"
#include "tests/simulation/models.h"
#include "tests/simulation/world.h"

namespace holdfast::simulation {
namespace {

constexpr int kAttemptsMax = 6;
// Only the latest requests are sent again.
constexpr size_t kRecentMax = 16;
constexpr uint64_t kTogetherMax = 3;

std::string NameOf(v1::ErrorReason reason) {
  return std::string(absl::StripPrefix(v1::ErrorReason_Name(reason), "ERROR_REASON_"));
}

// Returns whether a denial was the reply, which leaves no record.
bool IsDenial(absl::string_view reply) { return absl::StartsWith(reply, "denied "); }

}  // namespace

// --- Requests

std::string World::AnyRequest(const Tested& object) {
  const uint64_t kind = dice_.Below(20);
  const std::string amount = absl::StrCat(dice_.Between(1, 999));
  if (object.kind.model == &CounterModel()) {
    if (kind < 7) return "get";
    if (kind < 11) return "unique";
    if (kind < 13) return absl::StrCat("set ", amount);
    if (kind < 14) return "add 9000000000000000000";
    return absl::StrCat("add ", amount);
  }
  if (object.kind.model == &LimiterModel()) {
    return absl::StrCat(kind < 6 ? "peek " : "take ", dice_.OneIn(2) ? "k" : "l", " ", dice_.Between(1, 3));
  }
  if (object.kind.model == &LedgerModel()) {
    return kind < 8 ? "look" : absl::StrCat(kind < 10 ? "fail " : "move ", amount);
  }
  const std::string key = absl::StrCat("k", dice_.Below(3));
  const std::string value = absl::StrCat("v", ++values_);
  if (object.sql && kind < 4) return absl::StrCat("sql ", amount);
  if (object.sql && kind < 6) return "ask";
  if (object.sql && kind < 8) return absl::StrCat("both ", key, " ", newest_[key] = value, " ", amount);
  if (kind < 11) return absl::StrCat("get ", key);
  if (kind < 12) return "list";
  if (kind < 13) return dice_.OneIn(3) ? "wipe" : absl::StrCat("delete ", key);
  if (kind < 15 && !newest_[key].empty()) {
    const std::string old = std::exchange(newest_[key], value);
    return absl::StrCat("swap ", key, " ", old, " ", value);
  }
  newest_[key] = value;
  return kind < 18 ? absl::StrCat("put ", key, " ", value) : absl::StrCat("put2 ", key, " ", value, " k9 ", value);
}

size_t World::AddRequest(size_t object, std::string text, bool with_id) {
  ++events_.requests;
  Request request{.object = object, .text = std::move(text)};
  if (with_id && !objects_[object].kind.model->OnlyReads(request.text))
    request.id = absl::StrCat("r", requests_.size());
  requests_.push_back(std::move(request));
  return requests_.size() - 1;
}

uint64_t World::waiting() const {
  return static_cast<uint64_t>(std::count_if(
      calls_.begin(), calls_.end(), [](const auto& call) { return !call.second->given_up && !call.second->answered; }));
}

void World::SendNew() {
  if (waiting() >= clients_max_) return;
  std::vector<size_t> together;
  for (uint64_t i = dice_.OneIn(6) ? 1 + dice_.Below(kTogetherMax) : 1; i > 0; --i) {
    const size_t object = dice_.Below(objects_.size());
    together.push_back(AddRequest(object, AnyRequest(objects_[object]), /*with_id=*/!dice_.OneIn(4)));
  }
  Send(together);
}

void World::SendAgain() {
  std::vector<size_t> known;
  const size_t first = requests_.size() - std::min(requests_.size(), kRecentMax);
  for (size_t i = first; i < requests_.size(); ++i) {
    const Request& request = requests_[i];
    if (request.id.empty() || request.closed || request.other || request.waited_for) continue;
    if (request.attempts < kAttemptsMax) known.push_back(i);
  }
  if (known.empty()) return;
  ++events_.repeated;
  Send({known[dice_.Below(known.size())]});
}

void World::SendOther() {
  const size_t first = requests_.size() - std::min(requests_.size(), kRecentMax);
  for (size_t i = first; i < requests_.size(); ++i) {
    const Request& request = requests_[i];
    if (request.id.empty() || request.closed || request.other || !request.reply) continue;
    const std::string id = request.id;
    const size_t object = request.object;
    std::string text = AnyRequest(objects_[object]);
    if (text == request.text || objects_[object].kind.model->OnlyReads(text)) return;
    const size_t other = AddRequest(object, std::move(text), /*with_id=*/true);
    requests_[other].id = id;
    requests_[other].other = true;
    Send({other});
    return;
  }
}

void World::SendReads() {
  std::vector<size_t> reads;
  for (size_t i = 0; i < objects_.size(); ++i) {
    const Tested& object = objects_[i];
    std::vector<std::string> texts = {"get"};
    if (object.kind.model == &LimiterModel()) texts = {"peek k 1", "peek l 1"};
    if (object.kind.model == &PlainModel()) texts = {"list"};
    if (object.sql) texts.emplace_back("ask");
    if (object.kind.model == &LedgerModel()) texts = {"look"};
    for (std::string& text : texts) reads.push_back(AddRequest(i, std::move(text), /*with_id=*/false));
  }
  // One at a time, since a mailbox may be small.
  for (size_t read : reads) {
    if (!findings_.empty()) return;
    Send({read});
    Settle();
  }
}

std::unique_ptr<Call> World::MakeAttempt(size_t number) {
  Request& request = requests_[number];
  auto call = objects_[request.object].kind.make_call(request.text, request.id);
  call->begin = ++now_;
  if (request.attempts++ == 0) request.begin = call->begin;
  ++request.under_way;
  request.waited_for = true;
  call->request = number;
  call->outcome = [this](Call* ended, const absl::Status& status) { OnEnd(ended, status); };
  if (broken_ == Broken::kReadPassesNoGate && objects_[request.object].kind.model->OnlyReads(request.text)) {
    call->ran = [this](Call* read) {
      if (disk_.cut()) return;
      ++now_;
      OnReply(read, read->ReplyText());
      read->answered = true;
    };
  }
  return call;
}

void World::Send(const std::vector<size_t>& requests) {
  std::vector<actors::Addressed> deliveries;
  for (size_t number : requests) {
    auto call = MakeAttempt(number);
    if (dice_.OneIn(2)) {
      call->give_up = clock_.Steady() + absl::Milliseconds(dice_.Between(1, 100));
      if (dice_.OneIn(2)) call->deadline = call->give_up;
    }
    const Tested& object = objects_[requests_[number].object];
    Trace(requests_[number].text);
    deliveries.push_back({&object.key, object.kind.object_class, call.get()});
    Call* const raw = call.get();
    calls_.emplace(raw, std::move(call));
  }
  if (deliveries.size() > 1) {
    node_->Deliver(std::move(deliveries));
  } else {
    node_->Deliver(*deliveries.front().key, *deliveries.front().object_class, deliveries.front().delivery);
  }
}

// --- Replies

void World::OnEnd(Call* call, const absl::Status& status) {
  Request& request = requests_[call->request];
  request.last_ended = ++now_;
  --request.under_way;
  const auto owned = calls_.find(call);
  ended_.push_back(std::move(owned->second));
  calls_.erase(owned);
  if (call->answered) return;
  if (!call->given_up) request.waited_for = false;
  if (disk_.cut()) {
    // The process died in this step, and has told nobody.
    request.until_kill = true;
    if (!call->given_up) ++request.unknown;
    return;
  }
  Trace(absl::StrCat(request.text, " ", status.ok() ? call->ReplyText() : std::string(status.message())));
  if (!status.ok()) {
    OnError(call, status);
  } else if (const std::string reply = call->ReplyText(); IsDenial(reply)) {
    OnRefusal(call, reply);
  } else {
    OnReply(call, reply);
  }
}

void World::OnReply(Call* call, const std::string& reply) {
  Request& request = requests_[call->request];
  if (request.other) {
    Find(absl::StrCat(request.text, " has the id ", request.id, " of another request, and was answered: ", reply));
  }
  for (const std::optional<std::string>* before : {&request.reply, &request.unseen}) {
    if (*before && **before != reply) {
      Find(absl::StrCat(objects_[request.object].name, ": ", request.text, " with the id ", request.id,
                        " was answered twice: ", **before, ", and ", reply));
    }
  }
  if (call->given_up) {
    request.unseen = reply;
  } else if (!request.reply) {
    request.reply = reply;
    request.end = now_;
  }
}

void World::OnRefusal(Call* call, const std::string& reply) {
  Request& request = requests_[call->request];
  if (call->given_up || request.reply || request.other) return;
  if (request.under_way == 0 && request.unknown == 0) {
    request.reply = reply;
    request.end = now_;
    request.closed = true;
    return;
  }
  // Another attempt of the request may have happened otherwise; this one is an operation of its own.
  requests_.push_back({.object = request.object,
                       .text = request.text,
                       .begin = call->begin,
                       .reply = reply,
                       .end = now_,
                       .attempts = 1,
                       .closed = true});
}

void World::OnError(Call* call, const absl::Status& status) {
  Request& request = requests_[call->request];
  const v1::ErrorReason reason = actors::ReasonOf(status);
  switch (reason) {
    case v1::ERROR_REASON_OBJECT_RESET:
    case v1::ERROR_REASON_MAILBOX_FULL:
    case v1::ERROR_REASON_SERVER_OVERLOADED:
    case v1::ERROR_REASON_DEADLINE_PASSED:
    case v1::ERROR_REASON_DISK_FULL:
      ++events_.refused;
      return;
    case v1::ERROR_REASON_OUTCOME_UNKNOWN:
      request.until_kill = true;
      if (!call->given_up) ++request.unknown;
      return;
    case v1::ERROR_REASON_COUNTER_OVERFLOW:
    case v1::ERROR_REASON_ETAG_MISMATCH:
    case v1::ERROR_REASON_PRECONDITION_FAILED:
      OnRefusal(call, NameOf(reason));
      return;
    default:
      break;
  }
  if (reason == v1::ERROR_REASON_REQUEST_ID_REUSED && request.other) return;
  Find(absl::StrCat(objects_[request.object].name, ": ", request.text, " failed: ", status.ToString()));
}

void World::GiveUp() {
  for (const auto& [call, owned] : calls_) {
    if (call->give_up > clock_.Steady() || call->given_up || call->answered) continue;
    call->given_up = true;
    Request& request = requests_[call->request];
    request.waited_for = false;
    ++request.unknown;
  }
}

// --- The judgement

History World::HistoryOf(size_t object) const {
  History history;
  for (const Request& request : requests_) {
    if (request.object != object || request.other) continue;
    if (!request.reply && request.unknown == 0 && request.under_way == 0) continue;
    const Moment end = request.reply ? request.end : request.under_way > 0 ? kNever : request.last_ended;
    history.push_back(
        {.request = request.text,
         .reply = request.reply,
         .begin = request.begin,
         .end = end,
         .note = request.id.empty() ? "" : absl::StrCat(request.id, ", ", request.attempts, " attempts")});
  }
  return history;
}

void World::JudgeAll() {
  for (size_t i = 0; i < objects_.size() && findings_.empty(); ++i) {
    const History history = HistoryOf(i);
    for (const Operation& operation : history) events_.unknown += operation.reply ? 0 : 1;
    const Model& model = *objects_[i].kind.model;
    const Judgement judgement = Judge(model, history);
    events_.states += static_cast<int64_t>(judgement.states);
    if (const std::string complaint = Complaint(model, history, judgement); !complaint.empty()) {
      Find(absl::StrCat(objects_[i].name, ": ", complaint));
    }
  }
}

}  // namespace holdfast::simulation
