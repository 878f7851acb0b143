// A thread that waits for many sockets at once, by Boost.Asio.
//
// Everything of a connection happens on the thread of its loop, so nothing of it needs a lock. Work that is posted runs
// in the order in which it was posted.
//
// Threading: Post from any thread; a Socket on the loop's thread only. The loop outlives its sockets. Bounds: none of
// its own; those who post have at most a few pieces of work for each connection.

#ifndef HOLDFAST_SERVICE_HTTP_LOOP_H_
#define HOLDFAST_SERVICE_HTTP_LOOP_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace holdfast::service {

class Loop {
 public:
  using Work = absl::AnyInvocable<void()>;

  // A descriptor of a socket that does not block, which it owns.
  class Socket {
   public:
    Socket(Loop* loop, int fd);
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket();

    int fd() const;
    // Call `then` once, when the socket has something to read, or takes something. Close drops it.
    void WaitReadable(Work then);
    void WaitWritable(Work then);
    // Closes the descriptor. Call it once or never.
    void Close();

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  // `name` is that of the thread.
  explicit Loop(std::string name);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  // Stops the loop.
  ~Loop();

  // Begins the thread, which calls `look` every `step`.
  void Start(absl::Duration step, std::function<void()> look);
  void Post(Work work);
  // Ends the thread after the work that it is at, and destroys the rest. Call it once, or let the destructor.
  void Stop();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_LOOP_H_
