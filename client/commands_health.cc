#include "client/commands.h"

namespace holdfast::client {

void AddHealthCommand(CommandGroup& root) {
  using grpc::health::v1::HealthCheckResponse;
  root.Add(Unary<&grpc::health::v1::Health::Stub::Check>{
      .name = "health",
      .help = "Ask whether the server is serving; exits with 0 only if it is",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.Text("SERVICE", "", "One service, e.g. holdfast.v1.CounterService; default the whole server",
                           [&request](const std::string& service) { request.set_service(service); });
          },
      .print = [](const auto&, const auto& response,
                  TextOutput& text) { text.Line(HealthCheckResponse::ServingStatus_Name(response.status())); },
      .exit_status =
          [](const auto& response) {
            return response.status() == HealthCheckResponse::SERVING ? kExitOk : kExitFailed;
          },
  });
}

}  // namespace holdfast::client
