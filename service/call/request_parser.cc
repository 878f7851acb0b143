#include "service/call/request_parser.h"

#include <pthread.h>

#include <utility>

namespace holdfast::service {

RequestParser::RequestParser() : thread_([this] { Loop(); }) { pthread_setname_np(thread_.native_handle(), "parser"); }

RequestParser::~RequestParser() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void RequestParser::Run(const std::string& peer, Work work) {
  {
    std::lock_guard lock(mutex_);
    std::deque<Work>& of_peer = work_[peer];
    if (of_peer.empty()) turns_.push_back(peer);
    of_peer.push_back(std::move(work));
  }
  changed_.notify_one();
}

void RequestParser::Free(Work garbage) {
  {
    std::lock_guard lock(mutex_);
    garbage_.push_back(std::move(garbage));
  }
  changed_.notify_one();
}

void RequestParser::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !turns_.empty() || !garbage_.empty(); });
    if (ending_) return;
    Work work;
    const bool frees = !garbage_.empty();
    if (frees) {
      work = std::move(garbage_.front());
      garbage_.pop_front();
    } else {
      work = TakeTurn();
    }
    lock.unlock();
    if (!frees) work();
    work = nullptr;
    lock.lock();
  }
}

RequestParser::Work RequestParser::TakeTurn() {
  const std::string peer = std::move(turns_.front());
  turns_.pop_front();
  auto it = work_.find(peer);
  Work work = std::move(it->second.front());
  it->second.pop_front();
  if (it->second.empty()) {
    work_.erase(it);
  } else {
    turns_.push_back(peer);
  }
  return work;
}

}  // namespace holdfast::service
