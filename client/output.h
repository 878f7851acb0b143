// What the command-line tool prints: replies as aligned text or as JSON, errors as text or as JSON.

#ifndef HOLDFAST_CLIENT_OUTPUT_H_
#define HOLDFAST_CLIENT_OUTPUT_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

// RFC 3339 in UTC, e.g. 2024-05-01T12:00:00.25Z.
std::string TimeText(const google::protobuf::Timestamp& time);
// E.g. 1.5s, 2m30s: what the tool's options take.
std::string DurationText(const google::protobuf::Duration& duration);
// The text with what would steer a terminal, or break a line, or is not UTF-8, escaped (\n, \x1b).
std::string Printable(absl::string_view text);
// How many columns of a terminal it takes when made Printable, a character being one.
size_t TextWidth(absl::string_view text);
// "NOT_FOUND: no such user (NOT_FOUND)": code, message, and the reason if there is one.
std::string ErrorText(const absl::Status& error);

// One line of JSON, with the fields' names as in the .proto files and fields at their default printed too.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// The text as JSON, with its quotes.
std::string JsonText(const std::string& text);

// {"error":{"code":...,"message":...,"reason":...}}, and where there are such, "field_violations", "quota_violations",
// "retry_delay" and, with `outcome_unknown`, "outcome_unknown":true and the "request_id" to send it again with, if any.
std::string ErrorJson(const absl::Status& error, bool outcome_unknown, absl::string_view request_id);
// "holdfast: " and ErrorText, and a line each for what ErrorJson would name besides.
void PrintError(std::ostream& err, const absl::Status& error, bool outcome_unknown, absl::string_view request_id);

// Text for people. Everything passed in is made Printable. `out` must outlive it.
class TextOutput {
 public:
  explicit TextOutput(std::ostream& out) : out_(out) {}

  void Line(absl::string_view text);
  // Byte for byte, nothing escaped or added.
  void Raw(absl::string_view bytes);
  // A name and a value a line, the values below each other. Pairs with an empty value are left out.
  // `name_width_min` is for names that are to line up with those of other calls.
  void Fields(const std::vector<std::pair<std::string, std::string>>& fields, size_t name_width_min = 0);
  // Columns below each other; the header is printed once for any number of tables in a row that have the same one, as
  // the pages of a listing do. Nothing is printed of a table without rows.
  void Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
  // The next table has its header printed and widths of its own, also where it is the same header.
  void EndTable() { header_.clear(); }

 private:
  std::ostream& out_;
  std::vector<std::string> header_;
  std::vector<size_t> widths_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_OUTPUT_H_
