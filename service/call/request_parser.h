// A thread that parses and frees large requests. An executor runs the objects of many clients, so it does neither: a
// message of 4 MiB of empty fields takes 160 MiB and a tenth of a second.
//
// The connections take turns, one request each, so a connection that sends many requests delays only its own. Freeing
// goes first, so that there is never much more in memory than the call gate counts. The call gate bounds the work that
// waits.
//
// Threading: any thread may call the methods; the destructor comes after the last call.

#ifndef HOLDFAST_SERVICE_CALL_REQUEST_PARSER_H_
#define HOLDFAST_SERVICE_CALL_REQUEST_PARSER_H_

#include <cstddef>
#include <deque>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class RequestParser {
 public:
  using Work = absl::AnyInvocable<void()>;

  // Requests up to this size are parsed on the executor: the worst of them takes some 2 ms.
  static constexpr size_t kSmallBytes = 64 << 10;

  RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;
  // Drops the work that waits.
  ~RequestParser();

  // Runs `work` on the thread when it is the turn of the connection, and destroys it there.
  void Run(const std::string& peer, Work work);
  // Destroys `garbage` on the thread, before the work that waits for its turn.
  void Free(Work garbage);

 private:
  void Loop();
  // Takes the next work of the connection whose turn it is. There must be some.
  Work TakeTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  absl::flat_hash_map<std::string, std::deque<Work>> work_ ABSL_GUARDED_BY(mutex_);  // by peer; none is empty
  std::deque<std::string> turns_ ABSL_GUARDED_BY(mutex_);  // the peers that have work, each once
  std::deque<Work> garbage_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REQUEST_PARSER_H_
