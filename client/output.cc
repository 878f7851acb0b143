#include "client/output.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/status.h"
#include "proto/utf8.h"

namespace holdfast::client {
namespace {

// Width and Padded take text that is Printable.
size_t Width(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

// The narrowest that a column gets where its table is too wide, and the blanks between two columns.
constexpr size_t kColumnWidthMin = 8;
constexpr size_t kColumnGap = 2;

// Takes the first piece of at most `width` characters off the text: up to its last blank if it has one there, and
// otherwise as much as fits.
std::string TakePiece(absl::string_view* text, size_t width) {
  size_t bytes = 0, after_blank = 0;
  for (size_t used = 0; bytes < text->size() && used < width; ++used) {
    bytes += std::max<size_t>(Utf8CharacterSize(text->substr(bytes)), 1);
    if ((*text)[bytes - 1] == ' ') after_blank = bytes;
  }
  if (bytes < text->size() && after_blank > 0) bytes = after_blank;
  const std::string piece(text->substr(0, bytes));
  text->remove_prefix(bytes);
  return piece;
}

// Narrows the widest columns until all of them fit, as far as kColumnWidthMin allows. 0 columns are no bound.
std::vector<size_t> Fitted(std::vector<size_t> widths, size_t columns) {
  if (columns == 0 || widths.empty()) return widths;
  for (size_t& width : widths) width = std::min(width, columns);
  size_t total = kColumnGap * (widths.size() - 1);
  for (const size_t width : widths) total += width;
  for (; total > columns; --total) {
    size_t& widest = *std::max_element(widths.begin(), widths.end());
    if (widest <= kColumnWidthMin) break;
    --widest;
  }
  return widths;
}

}  // namespace

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ",
                          absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()), absl::UTCTimeZone());
}

std::string TableTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", absl::FromUnixSeconds(time.seconds()), absl::UTCTimeZone());
}

std::string DurationText(const google::protobuf::Duration& duration) {
  const absl::Duration value = absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  return value == absl::ZeroDuration() ? "0s" : absl::FormatDuration(value);
}

std::string ShortDuration(absl::Duration duration) {
  const double us = absl::ToDoubleMicroseconds(duration);
  if (us == 0) return "-";
  if (us < 999.5) return absl::StrFormat("%.0fus", us);
  const double ms = us / 1e3;
  if (ms < 999.5) return absl::StrFormat("%.*fms", ms < 9.95 ? 1 : 0, ms);
  const double s = us / 1e6;
  return absl::StrFormat("%.*fs", s < 9.95 ? 1 : 0, s);
}

std::string BytesText(int64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return absl::StrCat(bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : kUnits) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return absl::StrFormat("%.1f %s", value, unit);
}

std::string Printable(absl::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t size = Utf8CharacterSize(text);
    const auto c = static_cast<unsigned char>(text[0]);
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (size == 0 || c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&result, "\\x%02x", c);
    } else if (size == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) {
      // U+0080 to U+009F: control characters too
      absl::StrAppendFormat(&result, "\\u%04x", static_cast<unsigned char>(text[1]));
    } else {
      absl::StrAppend(&result, text.substr(0, size));
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return result;
}

size_t TextWidth(absl::string_view text) { return Width(Printable(text)); }

std::string ErrorText(const absl::Status& error) {
  const std::string reason = ReasonOf(error);
  return Printable(absl::StrCat(absl::StatusCodeToString(error.code()), ": ", error.message(),
                                reason.empty() ? "" : " (", reason, reason.empty() ? "" : ")"));
}

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("no JSON for the reply: ", status.ToString()));
  return json;
}

std::string JsonText(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return ToJson(value).value_or("\"\"");
}

std::string ErrorJson(const absl::Status& error, bool outcome_unknown, absl::string_view request_id) {
  std::string json =
      absl::StrCat("{\"error\":{\"code\":", JsonText(absl::StatusCodeToString(error.code())),
                   ",\"message\":", JsonText(std::string(error.message())), ",\"reason\":", JsonText(ReasonOf(error)));
  const auto list = [&json](absl::string_view name, const char* key, const auto& violations, const auto& key_of) {
    absl::StrAppend(&json, ",\"", name, "\":[",
                    absl::StrJoin(violations, ",",
                                  [&](std::string* out, const auto& violation) {
                                    absl::StrAppend(out, "{\"", key, "\":", JsonText(key_of(violation)),
                                                    ",\"description\":", JsonText(violation.description()), "}");
                                  }),
                    "]");
  };
  if (const auto detail = DetailOf<google::rpc::BadRequest>(error)) {
    list("field_violations", "field", detail->field_violations(), [](const auto& v) { return v.field(); });
  }
  if (const auto detail = DetailOf<google::rpc::QuotaFailure>(error)) {
    list("quota_violations", "subject", detail->violations(), [](const auto& v) { return v.subject(); });
  }
  if (const auto delay = RetryDelayOf(error)) {
    absl::StrAppend(&json, ",\"retry_delay\":", JsonText(absl::FormatDuration(*delay)));
  }
  if (outcome_unknown) json += ",\"outcome_unknown\":true";
  if (outcome_unknown && !request_id.empty()) {
    absl::StrAppend(&json, ",\"request_id\":", JsonText(std::string(request_id)));
  }
  return json + "}}";
}

void PrintError(std::ostream& err, const absl::Status& error, bool outcome_unknown, absl::string_view request_id) {
  err << ErrorText(error) << "\n";
  if (const auto detail = DetailOf<google::rpc::BadRequest>(error)) {
    for (const auto& violation : detail->field_violations()) {
      err << "  " << Printable(violation.field()) << ": " << Printable(violation.description()) << "\n";
    }
  }
  if (const auto detail = DetailOf<google::rpc::QuotaFailure>(error)) {
    for (const auto& violation : detail->violations()) {
      err << "  " << Printable(violation.subject()) << ": " << Printable(violation.description()) << "\n";
    }
  }
  if (const auto delay = RetryDelayOf(error)) err << "  may succeed after " << absl::FormatDuration(*delay) << "\n";
  if (outcome_unknown) err << "  it may or may not have happened\n";
  if (outcome_unknown && !request_id.empty()) {
    err << "  the same again with this has it happen once: --request-id " << Printable(request_id) << "\n";
  }
}

std::string TextOutput::Coloured(std::string text, Colour colour) const {
  if (!style_.colours || text.empty()) return text;
  switch (colour) {
    case Colour::kNone:
      return text;
    case Colour::kBold:
      return absl::StrCat("\x1b[1m", text, "\x1b[0m");
    case Colour::kRed:
      return absl::StrCat("\x1b[31m", text, "\x1b[0m");
    case Colour::kGreen:
      return absl::StrCat("\x1b[32m", text, "\x1b[0m");
  }
  return text;
}

void TextOutput::Line(absl::string_view text, Colour colour) { out_ << Coloured(Printable(text), colour) << "\n"; }

void TextOutput::Raw(absl::string_view bytes) { out_ << bytes; }

// The cells are Printable. Prints as many lines as the cell of the most pieces has.
void TextOutput::Row(const std::vector<std::string>& cells, const std::vector<size_t>& widths,
                     const std::vector<Colour>& colours) {
  std::vector<absl::string_view> left(cells.begin(), cells.end());
  do {
    std::string line;
    size_t pending = 0;  // blanks before the next text, of which no line has any at its end
    for (size_t i = 0; i < left.size(); ++i) {
      // A column that is the narrowest that it gets still takes a character, so that this ends.
      std::string piece = TakePiece(&left[i], std::max<size_t>(widths[i], 1));
      piece.erase(piece.find_last_not_of(' ') + 1);
      const size_t width = Width(piece);
      if (!piece.empty()) {
        line.append(pending, ' ');
        line += Coloured(std::move(piece), i < colours.size() ? colours[i] : Colour::kNone);
        pending = 0;
      }
      pending += widths[i] - std::min(widths[i], width) + kColumnGap;
    }
    out_ << line << "\n";
  } while (std::ranges::any_of(left, [](absl::string_view text) { return !text.empty(); }));
}

void TextOutput::Fields(const std::vector<std::pair<std::string, std::string>>& fields, size_t name_width_min) {
  size_t name_width = name_width_min, value_width = 0;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    name_width = std::max(name_width, TextWidth(name));
    value_width = std::max(value_width, TextWidth(value));
  }
  const std::vector<size_t> widths = Fitted({name_width, value_width}, style_.columns);
  for (const auto& [name, value] : fields) {
    if (!value.empty()) Row({Printable(name), Printable(value)}, widths, {});
  }
}

void TextOutput::Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                       const std::vector<Colour>& colours) {
  if (rows.empty()) return;
  const bool begins = header != header_;
  if (begins) {
    header_ = header;
    widths_.assign(header.size(), 0);
  }
  std::vector<std::vector<std::string>> lines = rows;
  if (begins) lines.insert(lines.begin(), header);
  for (std::vector<std::string>& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      line[i] = Printable(line[i]);
      widths_[i] = std::max(widths_[i], Width(line[i]));
    }
  }
  const std::vector<size_t> widths = Fitted(widths_, style_.columns);
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool is_header = begins && i == 0;
    Row(lines[i], widths, is_header ? std::vector<Colour>(header.size(), Colour::kBold) : colours);
  }
}

}  // namespace holdfast::client
