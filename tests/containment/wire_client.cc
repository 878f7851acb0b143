#include "tests/containment/wire_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace holdfast::testing {
namespace {

std::string BigEndian32(uint32_t value) {
  const uint32_t wire = htonl(value);
  return std::string(reinterpret_cast<const char*>(&wire), sizeof(wire));
}

// Returns a string in HPACK (RFC 7541, 5.2), without Huffman's code.
std::string HpackString(absl::string_view text) {
  std::string encoded;
  size_t length = text.size();
  if (length < 127) {
    encoded.push_back(static_cast<char>(length));
  } else {
    encoded.push_back(127);
    for (length -= 127; length >= 128; length /= 128) encoded.push_back(static_cast<char>(length % 128 + 128));
    encoded.push_back(static_cast<char>(length));
  }
  return absl::StrCat(encoded, text);
}

// Returns a field that enters no table (6.2.2).
std::string HpackField(absl::string_view name, absl::string_view value) {
  return absl::StrCat(absl::string_view("\0", 1), HpackString(name), HpackString(value));
}

std::string FrameOf(int type, int flags, uint32_t stream, absl::string_view payload) {
  std::string frame = BigEndian32(static_cast<uint32_t>(payload.size())).substr(1);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  return absl::StrCat(frame, BigEndian32(stream), payload);
}

}  // namespace

WireClient::WireClient(const std::string& address) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  int port = 0;
  (void)absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  closed_ = connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0;
}

WireClient::~WireClient() { close(socket_); }

void WireClient::SendFrame(int type, int flags, uint32_t stream, absl::string_view payload) {
  SendBytes(FrameOf(type, flags, stream, payload));
}

void WireClient::SendFrames(int type, absl::string_view payload, int count) {
  std::string frames;
  for (int i = 0; i < count; ++i) frames.append(FrameOf(type, 0, 0, payload));
  SendBytes(frames);
}

void WireClient::AnswerPing(const Frame& ping) { SendFrame(kPing, kAcknowledgement, 0, ping.payload); }

void WireClient::Reset(uint32_t stream) {
  constexpr uint32_t kCancel = 8;
  SendFrame(kReset, 0, stream, BigEndian32(kCancel));
}

void WireClient::SendBytes(absl::string_view bytes) {
  if (corked_) {
    unsent_.append(bytes.data(), bytes.size());
    return;
  }
  for (absl::string_view left = bytes; !left.empty() && !closed_;) {
    const ssize_t sent = send(socket_, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      closed_ = true;
    } else {
      left.remove_prefix(static_cast<size_t>(sent));
    }
  }
}

void WireClient::Greet(std::optional<uint32_t> window, bool acknowledges) {
  constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (send(socket_, kPreface.data(), kPreface.size(), MSG_NOSIGNAL) < 0) closed_ = true;
  constexpr absl::string_view kInitialWindowSize("\0\4", 2);
  SendFrame(kSettings, 0, 0, window ? absl::StrCat(kInitialWindowSize, BigEndian32(*window)) : "");
  if (acknowledges) SendFrame(kSettings, kAcknowledgement, 0, "");
}

uint32_t WireClient::Open(absl::string_view path, const std::vector<std::pair<std::string, std::string>>& metadata) {
  constexpr int kContinuation = 9;
  constexpr int kEndHeaders = 4;
  constexpr size_t kFrameBytesMax = 16384;
  std::string block = absl::StrCat(HpackField(":method", "POST"), HpackField(":scheme", "http"),
                                   HpackField(":path", path), HpackField(":authority", "test"),
                                   HpackField("te", "trailers"), HpackField("content-type", "application/grpc"));
  for (const auto& [name, value] : metadata) absl::StrAppend(&block, HpackField(name, value));
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  int type = kHeaders;
  for (absl::string_view left = block; !left.empty(); type = kContinuation) {
    const absl::string_view part = left.substr(0, kFrameBytesMax);
    left.remove_prefix(part.size());
    SendFrame(type, left.empty() ? kEndHeaders : 0, stream, part);
  }
  return stream;
}

uint32_t WireClient::Call(absl::string_view path, const google::protobuf::Message& message) {
  corked_ = true;
  const uint32_t stream = Open(path);
  Send(stream, message);
  corked_ = false;
  SendBytes(std::exchange(unsent_, ""));
  return stream;
}

void WireClient::Send(uint32_t stream, const google::protobuf::Message& message, bool end) {
  const std::string bytes = message.SerializeAsString();
  SendFrame(kData, end ? kEndStream : 0, stream,
            absl::StrCat(absl::string_view("\0", 1), BigEndian32(static_cast<uint32_t>(bytes.size())), bytes));
}

uint64_t WireClient::SendUnfinished(const std::vector<uint32_t>& streams, uint32_t bytes, absl::Duration time) {
  struct Left {
    int64_t bytes;
    int64_t window = 65535;
    bool begun = false;
  };
  std::map<uint32_t, Left> open;
  for (const uint32_t stream : streams) open.emplace(stream, Left{int64_t{bytes} - 1});
  int64_t window = 65535;  // of the connection
  uint64_t sent = 0;
  const absl::Time until = absl::Now() + time;
  while (absl::Now() < until && !open.empty() && !closed_) {
    for (auto& [stream, left] : open) {
      const int64_t part = std::min({left.bytes, left.window - 5, window - 5, int64_t{16'000}});
      if (part <= 0) continue;
      const std::string head = absl::StrCat(absl::string_view("\0", 1), BigEndian32(bytes));
      const std::string data = absl::StrCat(left.begun ? "" : head, std::string(static_cast<size_t>(part), 'x'));
      SendFrame(kData, 0, stream, data);
      left.begun = true;
      left.bytes -= part;
      left.window -= static_cast<int64_t>(data.size());
      window -= static_cast<int64_t>(data.size());
      sent += data.size();
    }
    for (const Frame& frame : Read(absl::Milliseconds(2))) {
      if (frame.type == kReset) open.erase(frame.stream);
      if (frame.type != kWindowUpdate || frame.payload.size() != 4) continue;
      uint32_t wire = 0;
      std::memcpy(&wire, frame.payload.data(), sizeof(wire));
      if (frame.stream == 0) window += ntohl(wire);
      if (auto it = open.find(frame.stream); it != open.end()) it->second.window += ntohl(wire);
    }
  }
  return sent;
}

bool WireClient::ReadUntil(int type, absl::Duration time) {
  const absl::Time until = absl::Now() + time;
  while (absl::Now() < until && !closed_) {
    for (const Frame& frame : Read(until - absl::Now(), 1)) {
      if (frame.type == type) return true;
    }
  }
  return false;
}

std::vector<WireClient::Frame> WireClient::Read(absl::Duration time, size_t enough) {
  constexpr size_t kHeadBytes = 9;
  const absl::Time until = absl::Now() + time;
  std::vector<Frame> frames;
  while (frames.size() < enough && !ended_) {
    const auto byte = [this](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(unparsed_[i])); };
    if (unparsed_.size() >= kHeadBytes) {
      const size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
      if (unparsed_.size() >= kHeadBytes + length) {
        frames.push_back({static_cast<int>(byte(3)), static_cast<int>(byte(4)),
                          byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8),
                          unparsed_.substr(kHeadBytes, length)});
        unparsed_.erase(0, kHeadBytes + length);
        continue;
      }
    }
    pollfd polled{socket_, POLLIN, 0};
    const int64_t left_ms = absl::ToInt64Milliseconds(until - absl::Now());
    if (left_ms < 0 || poll(&polled, 1, static_cast<int>(left_ms)) <= 0) break;
    char buffer[64 << 10];
    const ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
    if (got <= 0) {
      closed_ = ended_ = true;
    } else {
      unparsed_.append(buffer, static_cast<size_t>(got));
    }
  }
  return frames;
}

int Ended(const std::vector<WireClient::Frame>& frames) {
  return static_cast<int>(std::count_if(frames.begin(), frames.end(), [](const WireClient::Frame& frame) {
    return frame.type == WireClient::kHeaders && (frame.flags & WireClient::kEndStream) != 0;
  }));
}

}  // namespace holdfast::testing
