#include "tests/simulation/fibers.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "storage/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOLDFAST_FIBERS_ASAN
#include <sanitizer/common_interface_defs.h>
#elif __has_feature(thread_sanitizer)
#define HOLDFAST_FIBERS_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#endif

namespace holdfast::simulation {
namespace {

constexpr size_t kStackBytes = size_t{512} << 10;

}  // namespace

class Fiber {
 public:
  int group = 0;
  absl::Time wake;
  std::function<void()> body;
  std::unique_ptr<char[]> stack;
  ucontext_t context = {};
  bool begun = false;
  bool ended = false;
  void* sanitizer = nullptr;  // its own notes about this stack
};

struct Fibers::Main {
  ucontext_t context = {};
  void* sanitizer = nullptr;
  const void* stack = nullptr;
  size_t stack_bytes = 0;
};

Fibers::Fibers() : main_(std::make_unique<Main>()) {
#ifdef HOLDFAST_FIBERS_TSAN
  main_->sanitizer = __tsan_get_current_fiber();
#endif
}

Fibers::~Fibers() { HOLDFAST_CHECK(fibers_.empty(), "a fiber has not ended"); }

void Fibers::Start(int group, absl::Time at, std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->group = group;
  fiber->wake = at;
  fiber->body = std::move(body);
  fibers_.push_back(std::move(fiber));
}

std::vector<Fiber*> Fibers::Ready(int group) const {
  std::vector<Fiber*> ready;
  for (const auto& fiber : fibers_) {
    if (fiber->group == group && fiber->wake <= now_) ready.push_back(fiber.get());
  }
  return ready;
}

absl::Time Fibers::Next(int group) const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& fiber : fibers_) {
    if (fiber->group == group) next = std::min(next, fiber->wake);
  }
  return next;
}

size_t Fibers::CountOf(int group) const {
  return static_cast<size_t>(
      std::count_if(fibers_.begin(), fibers_.end(), [group](const auto& fiber) { return fiber->group == group; }));
}

void Fibers::Wake(Fiber* fiber) {
  const auto found =
      std::find_if(fibers_.begin(), fibers_.end(), [fiber](const auto& each) { return each.get() == fiber; });
  if (found != fibers_.end()) fiber->wake = std::min(fiber->wake, now_);
}

void Fibers::WakeAll(int group) {
  for (const auto& fiber : fibers_) {
    if (fiber->group == group) fiber->wake = std::min(fiber->wake, now_);
  }
}

void Fibers::Run(Fiber* fiber) {
  HOLDFAST_CHECK(current_ == nullptr, "a fiber runs another one");
  if (!std::exchange(fiber->begun, true)) {
    if (stacks_.empty()) stacks_.push_back(std::unique_ptr<char[]>(new char[kStackBytes]));
    fiber->stack = std::move(stacks_.back());
    stacks_.pop_back();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = kStackBytes;
    fiber->context.uc_link = nullptr;
    const auto self = reinterpret_cast<uintptr_t>(this);
    makecontext(&fiber->context, reinterpret_cast<void (*)()>(&Fibers::Enter), 2, static_cast<unsigned>(self),
                static_cast<unsigned>(self >> 32));
#ifdef HOLDFAST_FIBERS_TSAN
    fiber->sanitizer = __tsan_create_fiber(0);
#endif
  }
  current_ = fiber;
#ifdef HOLDFAST_FIBERS_ASAN
  __sanitizer_start_switch_fiber(&main_->sanitizer, fiber->stack.get(), kStackBytes);
#elif defined(HOLDFAST_FIBERS_TSAN)
  __tsan_switch_to_fiber(fiber->sanitizer, 0);
#endif
  swapcontext(&main_->context, &fiber->context);
#ifdef HOLDFAST_FIBERS_ASAN
  __sanitizer_finish_switch_fiber(main_->sanitizer, nullptr, nullptr);
#endif
  current_ = nullptr;
  if (!fiber->ended) return;
#ifdef HOLDFAST_FIBERS_TSAN
  __tsan_destroy_fiber(fiber->sanitizer);
#endif
  stacks_.push_back(std::move(fiber->stack));
  std::erase_if(fibers_, [fiber](const auto& each) { return each.get() == fiber; });
}

void Fibers::Enter(unsigned low, unsigned high) {
  auto* const fibers = reinterpret_cast<Fibers*>(static_cast<uintptr_t>(low) | static_cast<uintptr_t>(high) << 32);
#ifdef HOLDFAST_FIBERS_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &fibers->main_->stack, &fibers->main_->stack_bytes);
#endif
  fibers->current_->body();
  fibers->current_->body = nullptr;
  fibers->current_->ended = true;
  fibers->SwitchOut(/*ends=*/true);
}

void Fibers::SwitchOut([[maybe_unused]] bool ends) {
  Fiber* const fiber = current_;
#ifdef HOLDFAST_FIBERS_ASAN
  __sanitizer_start_switch_fiber(ends ? nullptr : &fiber->sanitizer, main_->stack, main_->stack_bytes);
#elif defined(HOLDFAST_FIBERS_TSAN)
  __tsan_switch_to_fiber(main_->sanitizer, 0);
#endif
  swapcontext(&fiber->context, &main_->context);
#ifdef HOLDFAST_FIBERS_ASAN
  __sanitizer_finish_switch_fiber(fiber->sanitizer, nullptr, nullptr);
#endif
}

void Fibers::SleepUntil(absl::Time time) {
  HOLDFAST_CHECK(current_ != nullptr, "an executor, or the world, blocks");
  current_->wake = time;
  SwitchOut(/*ends=*/false);
}

}  // namespace holdfast::simulation
