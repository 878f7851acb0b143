// What the peers' starts share.

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

// The path of a program in PATH, or NotFound.
absl::StatusOr<std::string> FindProgram(const std::string& name);
// NotFound, with what is to be done about it, if there is no such file.
absl::Status CheckInstalled(const std::string& path);

// A process that ends with this one, however this one ends.
std::unique_ptr<Child> StartChild(std::vector<std::string> arguments, const std::string& log_path,
                                  const std::vector<std::string>& environment = {});

// Waits until `ready` is OK, and no longer than half a minute. If it never is, or the process ends, returns why, with
// the end of the log.
absl::Status WaitUntilReady(const Child& child, const std::string& log_path,
                            const std::function<absl::Status()>& ready);

// One that walks over so many objects. Its preparation is the first call of each, so that all have been made and are in
// memory.
PeerWorkload HttpWorkload(int port, const std::string& name, int64_t objects, HttpTransport::Make make);

// Makes `count` calls, the numbers 0 to count - 1, with so many under way, and fails if one does.
absl::Status MakeCalls(Transport* transport, int outstanding, int64_t count);

// The sum of the numbers with which so many paths answer.
absl::StatusOr<int64_t> SumOverHttp(int port, int64_t count, const std::function<std::string(int64_t)>& path);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_PEER_START_H_
