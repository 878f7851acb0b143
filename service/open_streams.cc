#include "service/open_streams.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace holdfast::service {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr intptr_t kPage = 100;

Struct Parse(char* json) {
  const std::unique_ptr<char, decltype(&gpr_free)> owned(json, &gpr_free);
  Struct parsed;
  if (json != nullptr && !google::protobuf::util::JsonStringToMessage(json, &parsed).ok()) parsed.Clear();
  return parsed;
}

// Returns the field at the end of a path of structs; an empty value if there is none.
const Value& At(const Struct& json, std::initializer_list<const char*> path) {
  const Struct* inside = &json;
  const Value* value = &Value::default_instance();
  for (const char* name : path) {
    const auto it = inside->fields().find(name);
    if (it == inside->fields().end()) return Value::default_instance();
    value = &it->second;
    inside = &value->struct_value();
  }
  return *value;
}

// Returns the number at the end of a path. JSON has 64-bit numbers as text.
int64_t NumberAt(const Struct& json, std::initializer_list<const char*> path) {
  int64_t number = 0;
  (void)absl::SimpleAtoi(At(json, path).string_value(), &number);
  return number;
}

}  // namespace

absl::flat_hash_map<std::string, StreamCounts> CountStreams() {
  absl::flat_hash_map<std::string, StreamCounts> counts;
  const Struct servers = Parse(grpc_channelz_get_servers(0));
  for (const Value& server : At(servers, {"server"}).list_value().values()) {
    const intptr_t server_id = NumberAt(server.struct_value(), {"ref", "serverId"});
    for (intptr_t next = 0;;) {
      const Struct page = Parse(grpc_channelz_get_server_sockets(server_id, next, kPage));
      for (const Value& ref : At(page, {"socketRef"}).list_value().values()) {
        const intptr_t socket_id = NumberAt(ref.struct_value(), {"socketId"});
        next = socket_id + 1;
        const Struct socket = Parse(grpc_channelz_get_socket(socket_id));
        // The name of the socket has those of the transport and the peer.
        const std::string& name = At(socket, {"socket", "ref", "name"}).string_value();
        StreamCounts& of_peer = counts[absl::StripPrefix(name, "chttp2 ")];
        of_peer.begun = NumberAt(socket, {"socket", "data", "streamsStarted"});
        of_peer.ended = NumberAt(socket, {"socket", "data", "streamsSucceeded"}) +
                        NumberAt(socket, {"socket", "data", "streamsFailed"});
      }
      if (At(page, {"socketRef"}).list_value().values_size() == 0 || At(page, {"end"}).bool_value()) break;
    }
  }
  return counts;
}

}  // namespace holdfast::service
