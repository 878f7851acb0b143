// A call whose reply a test sees as it came over the wire: its bytes, before they are parsed, and its metadata.

#ifndef HOLDFAST_TESTS_BLACKBOX_RAW_CALL_H_
#define HOLDFAST_TESTS_BLACKBOX_RAW_CALL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message.h"

namespace holdfast::blackbox {

struct RawReply {
  grpc::Status status;
  std::string bytes;
  bool replayed = false;  // marked with "holdfast-replayed: 1"
};

// Calls "/package.Service/Method" with one request. Returns only the status of a stream of replies.
inline RawReply CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                        const google::protobuf::Message& request, std::chrono::milliseconds timeout) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer sent(&slice, 1);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareUnaryCall(&context, method, sent, &queue);
  call->StartCall();
  RawReply reply;
  grpc::ByteBuffer received;
  call->Finish(&received, &reply.status, &reply);
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  std::vector<grpc::Slice> slices;
  if (reply.status.ok() && received.Dump(&slices).ok()) {
    for (const grpc::Slice& part : slices) reply.bytes.append(part.begin(), part.end());
  }
  const auto& metadata = context.GetServerInitialMetadata();
  const auto mark = metadata.find("holdfast-replayed");
  reply.replayed = mark != metadata.end();
  if (reply.replayed) EXPECT_EQ(mark->second, "1");
  return reply;
}

}  // namespace holdfast::blackbox

#endif  // HOLDFAST_TESTS_BLACKBOX_RAW_CALL_H_
