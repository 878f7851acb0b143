#include "service/call/request_parser.h"

#include <pthread.h>

#include <utility>

namespace holdfast::service {

RequestParser::RequestParser() : thread_([this] { Loop(); }) { pthread_setname_np(thread_.native_handle(), "parser"); }

RequestParser::~RequestParser() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.WakeOne();
  thread_.join();
}

void RequestParser::Run(const std::string& peer, Work work) {
  {
    MutexLock lock(&mutex_);
    std::deque<Work>& of_peer = work_[peer];
    if (of_peer.empty()) turns_.push_back(peer);
    of_peer.push_back(std::move(work));
  }
  changed_.WakeOne();
}

void RequestParser::Free(Work garbage) {
  {
    MutexLock lock(&mutex_);
    garbage_.push_back(std::move(garbage));
  }
  changed_.WakeOne();
}

void RequestParser::Loop() {
  MutexLock lock(&mutex_);
  while (true) {
    while (!ending_ && turns_.empty() && garbage_.empty()) changed_.Wait(&mutex_);
    if (ending_) return;
    Work work;
    const bool frees = !garbage_.empty();
    if (frees) {
      work = std::move(garbage_.front());
      garbage_.pop_front();
    } else {
      work = TakeTurn();
    }
    lock.Unlock();
    if (!frees) work();
    work = nullptr;
    lock.Lock();
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
