// A client that speaks gRPC's protocol with HTTP/2 frames made by hand, so that a test can break its rules: leave
// messages out, never read, or open more streams than it may.
//
// Threading: one thread. A connection that fails is closed() from then on, and frames that are sent to it are dropped;
// what the server has sent before can still be read.

#ifndef HOLDFAST_TESTS_CONTAINMENT_WIRE_CLIENT_H_
#define HOLDFAST_TESTS_CONTAINMENT_WIRE_CLIENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

namespace holdfast::testing {

class WireClient {
 public:
  struct Frame {
    int type = 0;
    int flags = 0;
    uint32_t stream = 0;
    std::string payload;
  };
  static constexpr int kData = 0;
  static constexpr int kHeaders = 1;
  static constexpr int kReset = 3;
  static constexpr int kSettings = 4;
  static constexpr int kPing = 6;
  static constexpr int kGoAway = 7;
  static constexpr int kWindowUpdate = 8;
  static constexpr int kEndStream = 1;
  static constexpr int kAcknowledgement = 1;

  // Connects to ADDRESS:PORT on loopback and sends nothing yet.
  explicit WireClient(const std::string& address);
  ~WireClient();
  WireClient(const WireClient&) = delete;
  WireClient& operator=(const WireClient&) = delete;

  // Sends the preface and the settings. `window` is how many bytes of replies the server may send on each stream.
  // Those of the server are acknowledged, unless the test wants none.
  void Greet(std::optional<uint32_t> window = {}, bool acknowledges = true);
  // Opens a stream for a call of "/package.Service/Method" with some more metadata, and sends no message yet.
  uint32_t Open(absl::string_view path, const std::vector<std::pair<std::string, std::string>>& metadata = {});
  // Opens a stream, sends the message and ends the stream from this side, at once, as clients do.
  uint32_t Call(absl::string_view path, const google::protobuf::Message& message);
  // Sends the message of the call and, with `end`, the end of the stream from this side.
  void Send(uint32_t stream, const google::protobuf::Message& message, bool end = true);
  // Sends a message of `bytes` bytes without its last byte on each of these streams, as fast as the server takes them,
  // for at most that time. Returns the number of bytes that it has sent.
  uint64_t SendUnfinished(const std::vector<uint32_t>& streams, uint32_t bytes, absl::Duration time);

  // Reads until there is a frame of the type; false if there is none in that time.
  bool ReadUntil(int type, absl::Duration time);
  // Sends a frame without flags `count` times.
  void SendFrames(int type, absl::string_view payload, int count);
  // Answers a ping.
  void AnswerPing(const Frame& ping);
  // Ends the stream from this side, whatever the server does with it.
  void Reset(uint32_t stream);

  // Returns the frames that come within that time; returns earlier with `enough` frames.
  std::vector<Frame> Read(absl::Duration time, size_t enough = 1 << 30);
  // Returns whether the server has closed the connection, or it has failed.
  bool closed() const { return closed_; }

 private:
  void SendFrame(int type, int flags, uint32_t stream, absl::string_view payload);
  void SendBytes(absl::string_view bytes);

  int socket_;
  bool closed_ = false;
  bool corked_ = false;  // bytes to send are collected in unsent_
  std::string unsent_;
  bool ended_ = false;  // there is nothing more to read
  uint32_t next_stream_ = 1;
  std::string unparsed_;
};

// Returns how many of these frames end a stream with a status, OK or not, and not with a reset.
int Ended(const std::vector<WireClient::Frame>& frames);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTAINMENT_WIRE_CLIENT_H_
