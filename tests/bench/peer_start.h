// Functions that all peers use to start.

#ifndef HOLDFAST_TESTS_BENCH_PEER_START_H_
#define HOLDFAST_TESTS_BENCH_PEER_START_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/child.h"
#include "tests/bench/http_transport.h"
#include "tests/bench/load.h"
#include "tests/bench/peers.h"

namespace holdfast::bench {

// Returns the path of a program in PATH, or NotFound.
absl::StatusOr<std::string> FindProgram(const std::string& name);
// Returns NotFound, with instructions, if there is no such file.
absl::Status CheckInstalled(const std::string& path);

// Starts a process that ends when this process ends, in whatever way.
std::unique_ptr<Child> StartChild(std::vector<std::string> arguments, const std::string& log_path,
                                  const std::vector<std::string>& environment = {});

// Waits until `ready` is OK, for half a minute at most. If `ready` never is, or the process ends, returns the reason
// with the end of the log.
absl::Status WaitUntilReady(const Child& child, const std::string& log_path,
                            const std::function<absl::Status()>& ready);

// A workload that walks over `objects` objects. Its preparation makes the first call of each, so that all exist and are
// in memory.
PeerWorkload HttpWorkload(int port, const std::string& name, int64_t objects, HttpTransport::Make make);

// Makes `count` calls, with the numbers 0 to count - 1 and `outstanding` under way, and returns an error if one fails.
absl::Status MakeCalls(Transport* transport, int outstanding, int64_t count);

// Returns the sum of the numbers that `count` paths answer.
absl::StatusOr<int64_t> SumOverHttp(int port, int64_t count, const std::function<std::string(int64_t)>& path);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_PEER_START_H_
