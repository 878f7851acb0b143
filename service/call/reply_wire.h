// Puts a reply on the wire in deterministic form, and marks a replay.
//
// Equal replies of one server are equal bytes. Protobuf by default writes a map in any order, which may differ each
// time; the reply to a repeated request_id would then not be that of the first, byte for byte.

#ifndef HOLDFAST_SERVICE_CALL_REPLY_WIRE_H_
#define HOLDFAST_SERVICE_CALL_REPLY_WIRE_H_

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>
#include <grpc/slice.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>

namespace holdfast::service {

// Returns the bytes of a reply, which must be less than 2 GiB.
inline grpc::ByteBuffer ToWire(const google::protobuf::MessageLite& reply) {
  const size_t size = reply.ByteSizeLong();
  // A short slice holds its bytes itself, so they are written before it is copied.
  grpc_slice bytes = grpc_slice_malloc(size);
  google::protobuf::io::ArrayOutputStream array(GRPC_SLICE_START_PTR(bytes), static_cast<int>(size));
  {
    google::protobuf::io::CodedOutputStream stream(&array);
    stream.SetSerializationDeterministic(true);
    reply.SerializeWithCachedSizes(&stream);
  }
  const grpc::Slice slice(bytes, grpc::Slice::STEAL_REF);
  return grpc::ByteBuffer(&slice, 1);
}

inline constexpr char kReplayedKey[] = "holdfast-replayed";

// Marks the reply as that of an earlier request with the same request_id (types.proto, under Retries). The mark is in
// the initial metadata, which must not be sent yet.
inline void MarkReplayed(grpc::ServerContext* context) { context->AddInitialMetadata(kReplayedKey, "1"); }

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REPLY_WIRE_H_
