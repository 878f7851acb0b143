// The output of the command-line tool: replies as aligned text or as JSON, errors as text or as JSON.

#ifndef HOLDFAST_CLIENT_OUTPUT_H_
#define HOLDFAST_CLIENT_OUTPUT_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::client {

// Returns the time in RFC 3339 in UTC, e.g. 2024-05-01T12:00:00.25Z.
std::string TimeText(const google::protobuf::Timestamp& time);
// Returns the duration in the form that the tool's options take, e.g. 1.5s, 2m30s.
std::string DurationText(const google::protobuf::Duration& duration);
// Returns the time for a column of a table: in UTC and to the second, which takes 20 characters. JSON has all digits.
std::string TableTime(const google::protobuf::Timestamp& time);
// Returns a duration in at most five characters, for those up to some hours: "250us", "1.5ms", "12s"; "-" for 0.
std::string ShortDuration(absl::Duration duration);
// Returns the bytes as people read them: "512", "1.5 KiB", "3.0 GiB".
std::string BytesText(int64_t bytes);
// Escapes (\n, \x1b) everything in the text that would steer a terminal, break a line, or is not UTF-8.
std::string Printable(absl::string_view text);
// Returns the columns of a terminal that the text takes when made Printable; each character counts as one.
size_t TextWidth(absl::string_view text);
// Returns the code, the message, and the reason if there is one: "NOT_FOUND: no such user (NOT_FOUND)".
std::string ErrorText(const absl::Status& error);

// Returns one line of JSON. Fields have their names in the .proto files, and fields at their default are there too.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// Returns the text as a JSON string, with its quotes.
std::string JsonText(const std::string& text);

// Returns {"error":{"code":...,"message":...,"reason":...}}. If the error has them, there are also "field_violations",
// "quota_violations" and "retry_delay", and with `outcome_unknown` "outcome_unknown":true and the "request_id" with
// which to repeat the request.
std::string ErrorJson(const absl::Status& error, bool outcome_unknown, absl::string_view request_id);
// Prints ErrorText, and a line for each further field of ErrorJson.
void PrintError(std::ostream& err, const absl::Status& error, bool outcome_unknown, absl::string_view request_id);

enum class Colour { kNone, kBold, kRed, kGreen };

// The form of text. The defaults are those of an output that is no terminal.
struct TextStyle {
  size_t columns = 0;  // tables and fields fit in so many; 0: lines are as long as their contents
  bool colours = false;
};

// Prints text for people. Everything but Raw() is made Printable. `out` must outlive it.
//
// Where the style has columns, a table or a list of fields that is wider than they are has its widest columns narrowed,
// and their texts go on below, so nothing is cut off. Single-threaded.
class TextOutput {
 public:
  explicit TextOutput(std::ostream& out, TextStyle style = {}) : out_(out), style_(style) {}

  void Line(absl::string_view text, Colour colour = Colour::kNone);
  // Prints byte for byte: nothing is escaped or added.
  void Raw(absl::string_view bytes);
  // Prints a name and a value per line, the values below each other. Pairs with an empty value are left out.
  // `name_width_min` aligns the values with those of other calls.
  void Fields(const std::vector<std::pair<std::string, std::string>>& fields, size_t name_width_min = 0);
  // Prints aligned columns. Consecutive tables with the same header, such as the pages of a listing, have it printed
  // once. Nothing is printed of a table without rows. A row may have fewer cells than the header. `colours` are those
  // of the cells of each column.
  void Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
             const std::vector<Colour>& colours = {});
  // The next table has its header printed and widths of its own, even if the header is the same.
  void EndTable() { header_.clear(); }

 private:
  std::string Coloured(std::string text, Colour colour) const;
  void Row(const std::vector<std::string>& cells, const std::vector<size_t>& widths,
           const std::vector<Colour>& colours);

  std::ostream& out_;
  const TextStyle style_;
  std::vector<std::string> header_;
  std::vector<size_t> widths_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_OUTPUT_H_
