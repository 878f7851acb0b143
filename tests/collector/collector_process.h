// The real OpenTelemetry Collector as a child process: it receives OTLP over gRPC and writes each export as a line of
// JSON to a file, which this class reads.
//
// build.sh builds the program. The port stays the same from one start to the next, so that a server finds the collector
// again; each start writes to a file of its own, since the collector empties the file that it opens.
//
// Threading: one thread. The destructor ends the collector.

#ifndef HOLDFAST_TESTS_COLLECTOR_COLLECTOR_PROCESS_H_
#define HOLDFAST_TESTS_COLLECTOR_COLLECTOR_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/shared/certificates.h"

namespace holdfast::testing {

// A span as the collector wrote it. Ids are in hexadecimal digits.
struct WrittenSpan {
  std::string name;
  std::string trace_id;
  std::string span_id;
  std::string parent_span_id;
  std::string trace_state;
  int kind = 0;         // Span.SpanKind
  int status_code = 0;  // Status.StatusCode
  uint64_t start_unix_nano = 0;
  uint64_t end_unix_nano = 0;
  // The values of attributes as texts.
  std::map<std::string, std::string> attributes;
  std::map<std::string, std::string> resource;
  std::string scope;
};
using WrittenSpans = std::vector<WrittenSpan>;

class CollectorProcess {
 public:
  // Files go into `directory`. With a certificate the port has TLS.
  explicit CollectorProcess(std::string directory, const std::optional<Certificate>& certificate = std::nullopt);
  ~CollectorProcess();
  CollectorProcess(const CollectorProcess&) = delete;
  CollectorProcess& operator=(const CollectorProcess&) = delete;

  // Starts the collector and waits until it is ready. Aborts the test if that takes over half a minute.
  void Start();
  // Sends the signal and waits for the end. SIGTERM lets the collector write what it has taken; SIGKILL does not.
  void End(int signal);

  int port() const { return port_; }
  // Returns the spans of all starts, in the order in which they were written.
  WrittenSpans Spans() const;
  // Waits until so many have been written, or as long as they should need.
  WrittenSpans WaitFor(size_t spans) const;

 private:
  std::string FileOf(int start) const;
  std::string LogPath() const { return directory_ + "/collector.log"; }

  const std::string directory_;
  const int port_;
  std::string tls_settings_;
  int starts_ = 0;
  pid_t pid_ = -1;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_COLLECTOR_COLLECTOR_PROCESS_H_
