// A collector of spans for tests: a server of OTLP over gRPC in this process, which keeps what it is sent.

#ifndef HOLDFAST_TESTS_SHARED_OTLP_COLLECTOR_H_
#define HOLDFAST_TESTS_SHARED_OTLP_COLLECTOR_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace holdfast::testing {

// Any thread may call the methods.
class OtlpCollector final : private opentelemetry::proto::collector::trace::v1::TraceService::Service {
 public:
  using Span = opentelemetry::proto::trace::v1::Span;
  using Resource = opentelemetry::proto::resource::v1::Resource;

  // Listens on a port of loopback that the system chooses, unless one is given.
  explicit OtlpCollector(std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials(),
                         int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), std::move(credentials), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~OtlpCollector() override { server_->Shutdown(std::chrono::system_clock::now()); }

  int port() const { return port_; }
  std::string endpoint() const { return absl::StrCat("127.0.0.1:", port_); }

  // From now on answers each export so; one that is not OK keeps nothing.
  void AnswerWith(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    answer_ = status;
  }

  // Returns the spans, as soon as `enough` says so of them, or after a time in which they should have come.
  std::vector<Span> WaitFor(const std::function<bool(const std::vector<Span>&)>& enough) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return enough(spans_); });
    return spans_;
  }
  std::vector<Span> WaitFor(size_t spans) {
    return WaitFor([spans](const auto& all) { return all.size() >= spans; });
  }
  // Waits for so many exports, those that were answered with an error included.
  int WaitForExports(int exports) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return exports_ >= exports; });
    return exports_;
  }
  std::vector<Span> spans() const {
    const std::lock_guard lock(mutex_);
    return spans_;
  }
  int exports() const {
    const std::lock_guard lock(mutex_);
    return exports_;
  }
  // Returns the resource of the last export.
  Resource resource() const {
    const std::lock_guard lock(mutex_);
    return resource_;
  }

 private:
  grpc::Status Export(grpc::ServerContext*,
                      const opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest* request,
                      opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse*) override {
    const std::lock_guard lock(mutex_);
    ++exports_;
    changed_.notify_all();
    if (!answer_.ok()) return answer_;
    for (const auto& of_resource : request->resource_spans()) {
      resource_ = of_resource.resource();
      for (const auto& of_scope : of_resource.scope_spans()) {
        spans_.insert(spans_.end(), of_scope.spans().begin(), of_scope.spans().end());
      }
    }
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  grpc::Status answer_;
  std::vector<Span> spans_;
  int exports_ = 0;
  Resource resource_;
};

// Returns the value of an attribute as a text; "" if the span does not have it.
inline std::string AttributeOf(const OtlpCollector::Span& span, const std::string& key) {
  for (const auto& attribute : span.attributes()) {
    if (attribute.key() != key) continue;
    return attribute.value().has_int_value() ? absl::StrCat(attribute.value().int_value())
                                             : attribute.value().string_value();
  }
  return "";
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_SHARED_OTLP_COLLECTOR_H_
