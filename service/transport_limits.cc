#include "service/transport_limits.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/version_info.h>

#include <cstddef>
#include <cstdint>

// gRPC 1.51 goes by the bounds of headers and streams that it tells a client only once that client has acknowledged
// them. Before, these defaults of its own hold, which are 16 MiB of headers and any number of streams, and a client
// need not acknowledge anything. So the program has a table of defaults, which takes the place of the library's.
//
// They hold for the other side, too, until it tells its own. Other versions of gRPC have no such table, and a program
// that has gRPC in itself goes by gRPC's own ("weak").
#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51
extern "C" {

struct Http2Setting {
  const char* name;
  uint32_t by_default;
  uint32_t least;
  uint32_t most;
  int on_invalid;  // 0: the nearest is taken; 1: the connection ends
  uint32_t error;
};

// In the order of gRPC, with its values but for two.
__attribute__((visibility("default"), weak)) extern Http2Setting grpc_chttp2_settings_parameters[7];
Http2Setting grpc_chttp2_settings_parameters[7] = {
    {"HEADER_TABLE_SIZE", 4096, 0, UINT32_MAX, 0, 1},     {"ENABLE_PUSH", 1, 0, 1, 1, 1},
    {"MAX_CONCURRENT_STREAMS", 127, 0, UINT32_MAX, 1, 1}, {"INITIAL_WINDOW_SIZE", 65535, 0, INT32_MAX, 1, 3},
    {"MAX_FRAME_SIZE", 16384, 16384, 16777215, 1, 1},     {"MAX_HEADER_LIST_SIZE", 16383, 0, 16777216, 0, 1},
    {"GRPC_ALLOW_TRUE_BINARY_METADATA", 0, 0, 1, 0, 1},
};

}  // extern "C"
#endif

namespace holdfast::service {
namespace {

// A connection is closed at one more ping than this that came too soon. A ping is too soon when it comes more than one
// kPingEarlyPart-th of the permitted interval too early.
constexpr int kPingStrikesMax = 2;
constexpr int kPingEarlyPart = 10;

// gRPC does not tell a client a bound that is its default.
void TellBounds(const config::v1::ServerConfig& limits) {
#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51
  constexpr size_t kStreams = 2;
  constexpr size_t kHeaders = 5;
  constexpr int kStreamsBefore = 127;
  constexpr int kHeadersBefore = 16383;
  // A table of gRPC's own can't be written to.
  if (grpc_chttp2_settings_parameters[kStreams].by_default > kStreamsBefore) return;
  grpc_chttp2_settings_parameters[kStreams].by_default =
      limits.connection_streams_max() == kStreamsBefore ? kStreamsBefore - 1 : kStreamsBefore;
  grpc_chttp2_settings_parameters[kHeaders].by_default =
      limits.metadata_bytes_max() == kHeadersBefore ? kHeadersBefore - 1 : kHeadersBefore;
#else
  (void)limits;
#endif
}

// Permits clients' pings, and has the server ping connections that are silent.
void SetKeepalive(const config::v1::ServerConfig& limits, grpc::ServerBuilder* builder) {
  // Pings that a client sends at the permitted interval arrive a little closer together now and then, and on an idle
  // connection gRPC never forgives one that came too soon.
  const int permitted_ms = limits.keepalive_min_interval_ms() - limits.keepalive_min_interval_ms() / kPingEarlyPart;
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, permitted_ms);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kPingStrikesMax);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, limits.keepalive_interval_ms());
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limits.keepalive_timeout_ms());
  // Without data it would send two pings and no more.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

}  // namespace

void SetTransportLimits(const config::v1::ServerConfig& limits, grpc::ServerBuilder* builder) {
  TellBounds(limits);
  builder->SetMaxReceiveMessageSize(static_cast<int>(limits.message_bytes_max()));
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // gRPC reports a call with one request only when the request has come. Until then these three bound its memory.
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.connection_streams_max());
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, limits.metadata_bytes_max());
  builder->SetResourceQuota(grpc::ResourceQuota("holdfast").Resize(static_cast<size_t>(limits.grpc_bytes_max())));
  // A connection that does not become HTTP/2 is closed.
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limits.handshake_time_limit_ms());
  SetKeepalive(limits, builder);
}

}  // namespace holdfast::service
