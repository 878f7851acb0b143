#ifndef HOLDFAST_SERVICE_OPEN_STORE_H_
#define HOLDFAST_SERVICE_OPEN_STORE_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "storage/base/observer.h"
#include "storage/store/store.h"

namespace holdfast::service {

// Opens the store of a server: RocksDB in the data directory, with a commit log for each executor. `config` has gone
// through CompleteConfig. `on_failure`, if it is not empty, is called once, on any thread, when a fold fails.
absl::StatusOr<std::unique_ptr<storage::Store>> OpenStore(const config::v1::Config& config,
                                                          storage::Observer* observer = nullptr,
                                                          std::function<void(const absl::Status&)> on_failure = {});

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_OPEN_STORE_H_
