#include "service/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

// The bytes of a body without any, in chunks.
constexpr absl::string_view kNoChunks = "0\r\n\r\n";

std::string Text(string_view text) { return {text.data(), text.size()}; }

}  // namespace

class RequestReader::Parser final : public http::basic_parser<true> {
 public:
  Parser(size_t header_bytes_max, size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {
    header_limit(static_cast<uint32_t>(header_bytes_max));
    // on_body_impl has the bound, which holds for chunks in the same way. This version takes "no limit" for 0.
    body_limit(std::numeric_limits<std::uint64_t>::max());
  }

  size_t Take(absl::string_view bytes) {
    if (problem_ != Problem::kNone || is_done()) return 0;
    // This version asserts that no part of kNoChunks comes alone, and a client may send its bytes one by one.
    const bool at_chunk = is_header_done() && chunked() && chunk_left_ == 0;
    if (at_chunk && absl::StartsWith(bytes, "0") && bytes.size() < kNoChunks.size()) return 0;
    error_code error;
    const size_t taken = put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    if (error == http::error::need_more) error = {};
    if (error && problem_ == Problem::kNone) Fail(error);
    if (!has_head_) {
      // Beast takes a head that comes in parts field by field, and stops behind the head.
      const absl::string_view part = bytes.substr(0, taken);
      folded_ |= absl::StrContains(part, "\r\n ") || absl::StrContains(part, "\r\n\t");
    }
    if (is_header_done() && !has_head_ && problem_ == Problem::kNone) FinishHead();
    return taken;
  }

  void LimitBody(size_t bytes_max) {
    body_bytes_max_ = bytes_max;
    if (content_length().value_or(0) > bytes_max || body_.size() > bytes_max) BodyTooLarge();
  }

  Problem problem_ = Problem::kNone;
  std::string explanation_;
  RequestHead head_;
  std::string body_;
  bool has_head_ = false;

 private:
  void Fail(error_code error) {
    problem_ = error == http::error::header_limit  ? Problem::kHeadTooLarge
               : error == http::error::bad_version ? Problem::kVersion
                                                   : Problem::kMalformed;
    explanation_ = absl::StrCat("the request can't be read: ", error.message());
  }
  void Refuse(Problem problem, absl::string_view why, error_code& error) {
    problem_ = problem;
    explanation_ = std::string(why);
    error = http::error::bad_value;  // ends the parse
  }
  void Malformed(absl::string_view why) {
    problem_ = Problem::kMalformed;
    explanation_ = std::string(why);
  }

  void FinishHead() {
    has_head_ = true;
    eager(true);  // many small chunks are read in one step
    if (folded_) return Malformed("a line of the head is folded");
    head_.keep_alive = keep_alive();
    const std::vector<std::string> encodings = head_.All("transfer-encoding");
    const bool plain_chunks = encodings.size() == 1 && absl::EqualsIgnoreCase(encodings[0], "chunked");
    if (!encodings.empty() && (!plain_chunks || !head_.is_1_1)) {
      return Malformed("Transfer-Encoding: only \"chunked\" is known here, in HTTP/1.1");
    }
    const std::vector<std::string> lengths = head_.All("content-length");
    if (lengths.size() > 1) return Malformed("Content-Length: is there more than once");
    if (!lengths.empty() && lengths[0].find_first_not_of("0123456789") != std::string::npos) {
      return Malformed("Content-Length: is no number");
    }
    if (!encodings.empty() && content_length()) return Malformed("Content-Length: stands beside Transfer-Encoding");
    const size_t hosts = head_.All("host").size();
    if (hosts > 1 || (hosts == 0 && head_.is_1_1)) return Malformed("Host: must be there once");
    if (!host_in_target_.empty()) {
      for (auto& [name, value] : head_.fields) {
        if (name == "host") value = host_in_target_;
      }
    }
    head_.has_body = chunked() || content_length().value_or(0) > 0;
    if (content_length().value_or(0) > body_bytes_max_) return BodyTooLarge();
    const auto expect = head_.Find("expect");
    head_.expects_continue = head_.is_1_1 && expect && absl::EqualsIgnoreCase(*expect, "100-continue");
  }

  void BodyTooLarge() {
    problem_ = Problem::kBodyTooLarge;
    explanation_ = absl::StrCat("the body has over ", body_bytes_max_, " bytes");
  }

  void on_request_impl(http::verb, string_view method, string_view target, int version, error_code& error) override {
    if (version != 10 && version != 11) return Refuse(Problem::kVersion, "only HTTP/1.0 and HTTP/1.1 are known", error);
    head_.is_1_1 = version == 11;
    head_.method = Text(method);
    const std::string whole = Text(target);
    const size_t begin = PathAt(whole);
    const size_t mark = whole.find('?', begin);
    head_.path = whole.substr(begin, mark - begin);
    if (mark != std::string::npos) head_.query = whole.substr(mark + 1);
  }
  // Finds the path in a target, which a client that takes this server for a proxy sends as a whole URL. The host in
  // that counts, and not the field.
  size_t PathAt(const std::string& target) {
    const size_t scheme = target.find("://");
    if (scheme == std::string::npos || target[0] == '/') return 0;
    const size_t host = scheme + 3;
    const size_t path = std::min(target.find_first_of("/?", host), target.size());
    host_in_target_ = target.substr(host, path - host);
    return path;
  }
  void on_response_impl(int, string_view, int, error_code&) override {}

  void on_field_impl(http::field, string_view name, string_view value, error_code& error) override {
    // Behind the body it is a trailer.
    if (has_head_) return;
    if (head_.fields.size() >= kFieldsMax) {
      return Refuse(Problem::kHeadTooLarge, absl::StrCat("more than ", kFieldsMax, " header fields"), error);
    }
    head_.fields.emplace_back(absl::AsciiStrToLower(Text(name)), Text(value));
  }
  void on_header_impl(error_code&) override {}

  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  size_t on_body_impl(string_view part, error_code& error) override {
    if (body_.size() + part.size() > body_bytes_max_) {
      BodyTooLarge();
      error = http::error::body_limit;
      return 0;
    }
    body_.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t bytes, string_view, error_code&) override { chunk_left_ = bytes; }
  size_t on_chunk_body_impl(std::uint64_t, string_view part, error_code& error) override {
    const size_t taken = on_body_impl(part, error);
    chunk_left_ -= taken;
    return taken;
  }
  void on_finish_impl(error_code&) override {}

  size_t body_bytes_max_;
  std::string host_in_target_;
  bool folded_ = false;
  std::uint64_t chunk_left_ = 0;  // bytes of the current chunk that have not come yet
};

std::optional<absl::string_view> RequestHead::Find(absl::string_view name) const {
  for (const auto& [field, value] : fields) {
    if (field == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> RequestHead::All(absl::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [field, value] : fields) {
    if (field == name) all.push_back(value);
  }
  return all;
}

RequestReader::RequestReader(size_t header_bytes_max, size_t body_bytes_max)
    : parser_(std::make_unique<Parser>(header_bytes_max, body_bytes_max)) {}
RequestReader::~RequestReader() = default;

size_t RequestReader::Take(absl::string_view bytes) { return parser_->Take(bytes); }
RequestReader::Problem RequestReader::problem() const { return parser_->problem_; }
void RequestReader::LimitBody(size_t bytes_max) { parser_->LimitBody(bytes_max); }
const std::string& RequestReader::explanation() const { return parser_->explanation_; }
bool RequestReader::has_head() const {
  return parser_->has_head_ && (parser_->problem_ == Problem::kNone || parser_->problem_ == Problem::kBodyTooLarge);
}
bool RequestReader::done() const { return parser_->problem_ == Problem::kNone && parser_->is_done(); }
const RequestHead& RequestReader::head() const { return parser_->head_; }
std::string& RequestReader::body() { return parser_->body_; }

}  // namespace holdfast::service
