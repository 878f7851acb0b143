#include "tests/envoy/envoy_process.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/shared/free_port.h"

namespace holdfast::testing {
namespace {

constexpr char kManager[] = R"(
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: $NAME)";

// A listener with the rate limit filter.
constexpr char kLimited[] = R"(
  - name: $NAME
    address: {socket_address: {address: 127.0.0.1, port_value: $PORT}}
    filter_chains:
    - filters:$MANAGER
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                route:
                  cluster: backend
                  rate_limits:
                  - actions:
                    - request_headers: {header_name: ":path", descriptor_key: path}
          http_filters:
          - name: envoy.filters.http.ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
              domain: $DOMAIN
              failure_mode_deny: $DENY
              timeout: $TIMEOUT
              enable_x_ratelimit_headers: DRAFT_VERSION_03
              rate_limit_service:
                transport_api_version: V3
                grpc_service:
                  envoy_grpc: {cluster_name: holdfast}
                  initial_metadata:
                  - {key: authorization, value: "Bearer $TOKEN"}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
)";

constexpr char kBackend[] = R"(
  - name: $NAME
    address: {socket_address: {address: 127.0.0.1, port_value: $PORT}}
    filter_chains:
    - filters:$MANAGER
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                direct_response: {status: 200, body: {inline_string: "from the backend"}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
)";

constexpr char kClusters[] = R"(
  clusters:
  - name: backend
    connect_timeout: 1s
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $PORT}}}
  - name: holdfast
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: holdfast
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $LIMITS}}}
)";

std::string Listener(const char* form, const std::string& name, int port) {
  return absl::StrReplaceAll(
      form,
      {{"$MANAGER", absl::StrReplaceAll(kManager, {{"$NAME", name}})}, {"$NAME", name}, {"$PORT", absl::StrCat(port)}});
}

}  // namespace

std::string EnvoyProcess::Address(int port) { return absl::StrCat("127.0.0.1:", port); }

EnvoyProcess::EnvoyProcess(const std::string& directory, int limits_port, const std::string& domain,
                           const std::string& token)
    : open_port_(process::FreePort()), deny_port_(process::FreePort()) {
  const int backend_port = process::FreePort();
  const auto limited = [&](const std::string& name, int port, const char* deny) {
    return absl::StrReplaceAll(Listener(kLimited, name, port),
                               {{"$DOMAIN", domain},
                                {"$DENY", deny},
                                {"$TOKEN", token},
                                {"$TIMEOUT", absl::StrCat(absl::ToDoubleSeconds(kTimeout), "s")}});
  };
  const std::string path = directory + "/envoy.yaml";
  std::ofstream(path) << "static_resources:\n  listeners:" << limited("open", open_port_, "false")
                      << limited("deny", deny_port_, "true") << Listener(kBackend, "backend", backend_port)
                      << absl::StrReplaceAll(kClusters, {{"$PORT", absl::StrCat(backend_port)},
                                                         {"$LIMITS", absl::StrCat(limits_port)}});
  process_ = std::make_unique<ToolProcess>("envoy",
                                           std::vector<std::string>{"--config-path", path, "--concurrency", "1",
                                                                    "--disable-hot-restart", "--log-level", "warning"},
                                           std::vector<std::string>{}, open_port_, directory + "/envoy.log");
}

}  // namespace holdfast::testing
