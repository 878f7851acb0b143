// A whole server in one process: the store, the executors with their shards, and the gRPC front.
//
//   auto server = Server::Start(config);     // serves, health SERVING
//   ...
//   (*server)->Drain();                      // health NOT_SERVING, no new work; what is in progress ends
//
// Threading: Start, Drain and the destructor on one thread. Durability: once Drain returns everything acknowledged is
// on disk, as it is at any other time.

#ifndef HOLDFAST_SERVICE_SERVER_H_
#define HOLDFAST_SERVICE_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/rpcs/extension.h"
#include "storage/store/store.h"

namespace holdfast::service {

class Server {
 public:
  // `config` has gone through CompleteConfig. `on_disk_failure` is called once, on any thread, when a commit failed:
  // the process must end, since the contents of the disk are unknown. Errors name the cause: the data directory (in
  // use, of another format, damaged), the address (in use), or a method of the extension without a row or a verb.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const config::v1::Config& config,
                                                       std::function<void(const absl::Status&)> on_disk_failure,
                                                       Extension extension = {});
  virtual ~Server() = default;

  // Returns ADDRESS:PORT, with the port that was chosen if the configuration has 0.
  virtual const std::string& address() const = 0;
  // Returns the same of the HTTP port; "" without one.
  virtual std::string http_address() const = 0;
  // Reads the configuration and the files of access control again, and those of them that are valid take effect. Any
  // thread, before Drain.
  virtual void Reload() = 0;
  // Ends the service: calls in progress have drain_timeout_ms to end by themselves. Call it once.
  virtual void Drain() = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_SERVER_H_
