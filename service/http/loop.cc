#include "service/http/loop.h"

#include <pthread.h>
#include <signal.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/time/time.h"

namespace holdfast::service {

namespace asio = boost::asio;
using boost::system::error_code;

struct Loop::Impl {
  explicit Impl(std::string thread_name) : name(std::move(thread_name)) {}

  void Look() {
    timer.expires_after(absl::ToChronoNanoseconds(step));
    timer.async_wait([this](error_code error) {
      if (error) return;
      look();
      Look();
    });
  }

  const std::string name;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::steady_timer timer{context};
  absl::Duration step;
  std::function<void()> look;
  std::thread thread;
};

struct Loop::Socket::Impl {
  Impl(asio::io_context* context, int fd) : descriptor(*context, fd) {}

  void Wait(asio::posix::stream_descriptor::wait_type type, Work then) {
    descriptor.async_wait(type, [then = std::move(then)](error_code error) mutable {
      if (error != asio::error::operation_aborted) then();
    });
  }

  asio::posix::stream_descriptor descriptor;
};

Loop::Socket::Socket(Loop* loop, int fd) : impl_(std::make_unique<Impl>(&loop->impl_->context, fd)) {}
Loop::Socket::~Socket() = default;

int Loop::Socket::fd() const { return impl_->descriptor.native_handle(); }

void Loop::Socket::WaitReadable(Work then) { impl_->Wait(asio::posix::stream_descriptor::wait_read, std::move(then)); }

void Loop::Socket::WaitWritable(Work then) { impl_->Wait(asio::posix::stream_descriptor::wait_write, std::move(then)); }

void Loop::Socket::Close() {
  error_code ignored;
  impl_->descriptor.close(ignored);
}

Loop::Loop(std::string name) : impl_(std::make_unique<Impl>(std::move(name))) {}

Loop::~Loop() { Stop(); }

void Loop::Start(absl::Duration step, std::function<void()> look) {
  impl_->step = step;
  impl_->look = std::move(look);
  impl_->Look();
  impl_->thread = std::thread([this] {
    pthread_setname_np(pthread_self(), impl_->name.c_str());
    // OpenSSL writes to sockets in a way that raises it when the client is gone.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    impl_->context.run();
  });
}

void Loop::Post(Work work) { asio::post(impl_->context, std::move(work)); }

void Loop::Stop() {
  impl_->context.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace holdfast::service
