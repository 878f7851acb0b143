// The way of this process to its database, and the time by which it waits: libpq and the clock of the machine. A
// simulation has others, so all that stands on them is the server's own code there.
//
// Threading: any thread.

#ifndef HOLDFAST_STORAGE_POSTGRES_DRIVER_H_
#define HOLDFAST_STORAGE_POSTGRES_DRIVER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/postgres/connection.h"

namespace holdfast::storage::postgres {

// Work that is done again and again, until this is destroyed, which waits for what is under way.
class Repeated {
 public:
  virtual ~Repeated() = default;
};

class Driver {
 public:
  virtual ~Driver() = default;

  // As Connection::Open.
  virtual absl::StatusOr<std::unique_ptr<Connection>> Connect(const std::string& conninfo, size_t first_host) = 0;
  virtual Deadline Now() = 0;
  // Blocking.
  virtual void Sleep(std::chrono::nanoseconds time) = 0;
  // Does `work` on a thread of its own, for the first time after one interval, until it returns false.
  virtual std::unique_ptr<Repeated> Repeat(absl::Duration interval, std::function<bool()> work) = 0;

  Deadline After(std::chrono::nanoseconds time) { return Now() + time; }
};

// The driver of a server; it lives for ever.
Driver* LibpqDriver();

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_DRIVER_H_
