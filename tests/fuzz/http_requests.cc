// Requests of HTTP/1.1: bytes are read within their bounds, as the same requests in whatever pieces they come, and a
// request that was read can't be another one for a proxy in front.
//
// An input is a byte for the size of the pieces, and the bytes of a connection.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/http/request_reader.h"
#include "storage/base/check.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

using service::RequestHead;
using service::RequestReader;

// Bounds that inputs reach.
constexpr size_t kHeadBytesMax = 512;
constexpr size_t kBodyBytesMax = 256;

// A connection as it was read: each request in one text, and the problem that ended it.
struct Reading {
  std::vector<std::string> requests;
  RequestReader::Problem problem = RequestReader::Problem::kNone;
};

// Appends a text behind its length, so that no two lists of texts look the same.
void Tell(absl::string_view text, std::string* told) { absl::StrAppend(told, text.size(), ":", text, " "); }

std::string Told(const RequestHead& head, absl::string_view body) {
  std::string told = absl::StrCat(head.is_1_1, head.keep_alive, head.expects_continue, head.has_body, " ");
  for (const absl::string_view text :
       {absl::string_view(head.method), absl::string_view(head.path), absl::string_view(head.query), body}) {
    Tell(text, &told);
  }
  for (const auto& [name, value] : head.fields) {
    Tell(name, &told);
    Tell(value, &told);
  }
  return told;
}

bool IsTokenCharacter(unsigned char each) {
  return absl::ascii_isalnum(each) || absl::StrContains("!#$%&'*+-.^_`|~", std::string(1, static_cast<char>(each)));
}

void CheckHead(const RequestHead& head) {
  HOLDFAST_CHECK(head.fields.size() <= RequestReader::kFieldsMax, absl::StrCat(head.fields.size()));
  size_t bytes = head.method.size() + head.path.size() + head.query.size();
  HOLDFAST_CHECK(!head.method.empty() && std::all_of(head.method.begin(), head.method.end(), IsTokenCharacter),
                 head.method);
  HOLDFAST_CHECK(!absl::StrContains(head.path, ' ') && !absl::StrContains(head.path, '?'), head.path);
  for (const auto& [name, value] : head.fields) {
    bytes += name.size() + value.size();
    HOLDFAST_CHECK(!name.empty() && std::all_of(name.begin(), name.end(), IsTokenCharacter), name);
    HOLDFAST_CHECK(name == absl::AsciiStrToLower(name), name);
    for (const char each : value) HOLDFAST_CHECK(each == '\t' || !absl::ascii_iscntrl(each), name);
  }
  // The bound is one of the first line, and one of the fields.
  HOLDFAST_CHECK(bytes <= 2 * kHeadBytesMax, absl::StrCat(bytes));
  const size_t hosts = head.All("host").size();
  HOLDFAST_CHECK(hosts == 1 || (hosts == 0 && !head.is_1_1), absl::StrCat(hosts));
}

void CheckRequest(const RequestHead& head, absl::string_view body) {
  HOLDFAST_CHECK(body.size() <= kBodyBytesMax, absl::StrCat(body.size()));
  const std::vector<std::string> lengths = head.All("content-length");
  const std::vector<std::string> encodings = head.All("transfer-encoding");
  HOLDFAST_CHECK(lengths.size() + encodings.size() <= 1, "two lengths");
  if (!encodings.empty()) {
    HOLDFAST_CHECK(head.is_1_1 && absl::EqualsIgnoreCase(encodings[0], "chunked"), encodings[0]);
    return;
  }
  size_t length = 0;
  HOLDFAST_CHECK(lengths.empty() || absl::SimpleAtoi(lengths[0], &length), "a length that is no number");
  HOLDFAST_CHECK(body.size() == length && head.has_body == (length > 0), absl::StrCat(body.size()));
}

// Reads a connection as Session does.
Reading Read(absl::string_view bytes, size_t piece_bytes) {
  Reading reading;
  std::string waiting;
  auto reader = std::make_unique<RequestReader>(kHeadBytesMax, kBodyBytesMax);
  bool checked = false;
  while (!bytes.empty()) {
    const absl::string_view piece = bytes.substr(0, piece_bytes);
    waiting.append(piece.data(), piece.size());
    bytes.remove_prefix(piece.size());
    for (size_t taken = 1; taken > 0 && !waiting.empty();) {
      taken = reader->Take(waiting);
      HOLDFAST_CHECK(taken <= waiting.size(), "more was taken than there is");
      waiting.erase(0, taken);
      reading.problem = reader->problem();
      if (reading.problem != RequestReader::Problem::kNone) {
        // A head is kept if its body is too large, so that it can be answered.
        HOLDFAST_CHECK(!reader->has_head() || reading.problem == RequestReader::Problem::kBodyTooLarge,
                       "a problem in a request that was read");
        HOLDFAST_CHECK(!reader->done(), "a problem in a request that was read");
        HOLDFAST_CHECK(!reader->explanation().empty(), "a problem without words");
        return reading;
      }
      if (reader->has_head() && !std::exchange(checked, true)) CheckHead(reader->head());
      if (!reader->done()) continue;
      HOLDFAST_CHECK(checked, "a request without a head");
      CheckRequest(reader->head(), reader->body());
      reading.requests.push_back(Told(reader->head(), reader->body()));
      reader = std::make_unique<RequestReader>(kHeadBytesMax, kBodyBytesMax);
      checked = false;
    }
  }
  return reading;
}

void CheckConnection(Input input) {
  const size_t piece_bytes = size_t{input.Byte()} + 1;
  const Reading whole = Read(input.rest(), input.rest().size());
  const Reading pieces = Read(input.rest(), piece_bytes);
  // The parser counts the bytes of a head a little differently if it comes in pieces.
  if (whole.problem == RequestReader::Problem::kHeadTooLarge ||
      pieces.problem == RequestReader::Problem::kHeadTooLarge) {
    const size_t both = std::min(whole.requests.size(), pieces.requests.size());
    HOLDFAST_CHECK(std::equal(pieces.requests.begin(), pieces.requests.begin() + both, whole.requests.begin()),
                   absl::StrCat("other requests in pieces of ", piece_bytes));
    return;
  }
  HOLDFAST_CHECK(whole.requests == pieces.requests, absl::StrCat("other requests in pieces of ", piece_bytes));
  if (whole.problem == pieces.problem) return;
  // The parser looks at a head that came in pieces once its end is there, and at one that came at once before.
  const Reading ended = Read(absl::StrCat(input.rest(), "\r\n\r\n"), piece_bytes);
  HOLDFAST_CHECK(pieces.problem == RequestReader::Problem::kNone && ended.problem != RequestReader::Problem::kNone &&
                     ended.requests == whole.requests,
                 absl::StrCat("another problem in pieces of ", piece_bytes));
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  holdfast::fuzz::CheckConnection(holdfast::fuzz::Input(data, bytes));
  return 0;
}
