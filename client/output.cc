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

std::string Padded(std::string text, size_t width) {
  text.append(width - std::min(width, Width(text)), ' ');
  return text;
}

}  // namespace

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ",
                          absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()), absl::UTCTimeZone());
}

std::string DurationText(const google::protobuf::Duration& duration) {
  const absl::Duration value = absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  return value == absl::ZeroDuration() ? "0s" : absl::FormatDuration(value);
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
  err << "holdfast: " << ErrorText(error) << "\n";
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

void TextOutput::Line(absl::string_view text) { out_ << Printable(text) << "\n"; }

void TextOutput::Raw(absl::string_view bytes) { out_ << bytes; }

void TextOutput::Fields(const std::vector<std::pair<std::string, std::string>>& fields, size_t name_width_min) {
  size_t width = name_width_min;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) width = std::max(width, TextWidth(name));
  }
  for (const auto& [name, value] : fields) {
    if (!value.empty()) out_ << Padded(Printable(name), width) << "  " << Printable(value) << "\n";
  }
}

void TextOutput::Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return;
  std::vector<std::vector<std::string>> lines;
  if (header != header_) {
    header_ = header;
    widths_.assign(header.size(), 0);
    lines.push_back(header);
  }
  lines.insert(lines.end(), rows.begin(), rows.end());
  for (std::vector<std::string>& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      line[i] = Printable(line[i]);
      widths_[i] = std::max(widths_[i], Width(line[i]));
    }
  }
  for (const std::vector<std::string>& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) absl::StrAppend(&text, i == 0 ? "" : "  ", Padded(line[i], widths_[i]));
    text.erase(text.find_last_not_of(' ') + 1);
    out_ << text << "\n";
  }
}

}  // namespace holdfast::client
