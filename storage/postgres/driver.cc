#include "storage/postgres/driver.h"

#include <thread>
#include <utility>

#include "storage/base/mutex.h"

namespace holdfast::storage::postgres {
namespace {

class RepeatingThread final : public Repeated {
 public:
  RepeatingThread(absl::Duration interval, std::function<bool()> work)
      : interval_(absl::ToChronoNanoseconds(interval)), work_(std::move(work)), thread_([this] { Work(); }) {}
  ~RepeatingThread() override {
    {
      MutexLock lock(&mutex_);
      ending_ = true;
    }
    ending_changed_.WakeAll();
    thread_.join();
  }

 private:
  void Work() {
    while (true) {
      const Deadline next = std::chrono::steady_clock::now() + interval_;
      {
        MutexLock lock(&mutex_);
        while (!ending_ && ending_changed_.WaitUntil(&mutex_, next)) {
        }
        if (ending_) return;
      }
      if (!work_()) return;
    }
  }

  const std::chrono::nanoseconds interval_;
  const std::function<bool()> work_;
  Mutex mutex_;
  CondVar ending_changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class RealDriver final : public Driver {
 public:
  absl::StatusOr<std::unique_ptr<Connection>> Connect(const std::string& conninfo, size_t first_host) override {
    return Connection::Open(conninfo, first_host);
  }
  Deadline Now() override { return std::chrono::steady_clock::now(); }
  void Sleep(std::chrono::nanoseconds time) override { std::this_thread::sleep_for(time); }
  std::unique_ptr<Repeated> Repeat(absl::Duration interval, std::function<bool()> work) override {
    return std::make_unique<RepeatingThread>(interval, std::move(work));
  }
};

}  // namespace

Driver* LibpqDriver() {
  static auto* const driver = new RealDriver;
  return driver;
}

}  // namespace holdfast::storage::postgres
