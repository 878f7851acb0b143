#include "tests/simulation/ledger.h"

#include <coroutine>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"

namespace holdfast::simulation {
namespace {

using actors::Task;

constexpr char kFrom[] = "a";
constexpr char kTo[] = "b";

// Stands between an object and its activation, and hides the writes of a turn while it waits, so that the activation
// opens the input gate. A broken runtime would be like this.
class InterleavingContext final : public actors::ObjectContext {
 public:
  explicit InterleavingContext(ObjectContext* context) : context_(context) {}

  storage::ObjectStorage& storage() override { return context_->storage(); }
  absl::Time Now() override { return context_->Now(); }
  actors::Random& random() override { return context_->random(); }
  const storage::ObjectKey& key() const override { return context_->key(); }
  const actors::ObjectLimits& limits() const override { return context_->limits(); }
  actors::AlarmWatchers& alarm_watchers() override { return context_->alarm_watchers(); }
  std::optional<actors::AlarmWatchers::Claim> TakeAlarmClaim() override { return context_->TakeAlarmClaim(); }
  void LeaveNoRecord() override { context_->LeaveNoRecord(); }
  void AfterCommit(absl::AnyInvocable<void()> function) override { context_->AfterCommit(std::move(function)); }

  void BeginWait(absl::Duration time, bool end_turn, std::coroutine_handle<> handler) override {
    if (!end_turn && storage().wrote()) {
      handler = hidden_.emplace(handler.address(), GoOn(handler, std::move(storage().writes()))).first->second.handle;
      storage().DropTurn();
    }
    context_->BeginWait(time, end_turn, handler);
  }
  void CancelWait(std::coroutine_handle<> handler) override {
    const auto hidden = hidden_.find(handler.address());
    if (hidden == hidden_.end()) {
      context_->CancelWait(handler);
      return;
    }
    context_->CancelWait(hidden->second.handle);
    hidden->second.handle.destroy();
    hidden_.erase(hidden);
  }

 private:
  // A coroutine that the activation resumes in place of the one that waits.
  struct Hidden {
    struct promise_type {
      Hidden get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() noexcept {}
    };
    std::coroutine_handle<> handle;
  };

  Hidden GoOn(std::coroutine_handle<> handler, storage::WriteSet writes) {
    hidden_.erase(handler.address());
    storage().writes().Merge(std::move(writes));
    handler.resume();
    co_return;
  }

  ObjectContext* const context_;
  std::map<void*, Hidden> hidden_;
};

class InterleavingLedger final : private std::unique_ptr<InterleavingContext>, public Ledger {
 public:
  explicit InterleavingLedger(actors::ObjectContext* context)
      : std::unique_ptr<InterleavingContext>(std::make_unique<InterleavingContext>(context)), Ledger(get()) {}
};

}  // namespace

const actors::ObjectClass& Ledger::Class() {
  static const auto* const object_class = new actors::ObjectClass{.name = "Ledger", .make = actors::Make<Ledger>};
  return *object_class;
}

const actors::ObjectClass& Ledger::InterleavingClass() {
  static const auto* const object_class =
      new actors::ObjectClass{.name = "Ledger", .make = actors::Make<InterleavingLedger>};
  return *object_class;
}

Task<absl::StatusOr<int64_t>> Ledger::Amount(std::string key) {
  auto text = co_await storage().Get(key);
  if (!text.ok()) co_return text.status();
  int64_t amount = 0;
  if (*text && !absl::SimpleAtoi(**text, &amount)) co_return absl::DataLossError("an amount is no number");
  co_return amount;
}

Ledger::Waiting Ledger::WaitABit() {
  return Wait(absl::Milliseconds(1 + static_cast<int64_t>(random().Uniform() * 30)));
}

Task<absl::Status> Ledger::Move(const v1::IncrementRequest& request, v1::IncrementResponse* response) {
  co_await WaitABit();
  const auto from = co_await Amount(kFrom);
  if (!from.ok()) co_return from.status();
  response->set_value(*from - request.amount());
  absl::Status put = storage().Put(kFrom, absl::StrCat(response->value()));
  if (!put.ok()) co_return put;
  co_await WaitABit();
  const auto to = co_await Amount(kTo);
  if (!to.ok()) co_return to.status();
  co_return storage().Put(kTo, absl::StrCat(*to + request.amount()));
}

Task<absl::Status> Ledger::Fail(const v1::IncrementRequest& request, v1::IncrementResponse*) {
  const auto from = co_await Amount(kFrom);
  if (!from.ok()) co_return from.status();
  absl::Status put = storage().Put(kFrom, absl::StrCat(*from - request.amount()));
  if (!put.ok()) co_return put;
  co_await WaitABit();
  co_return actors::Error(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED, "it fails");
}

}  // namespace holdfast::simulation
