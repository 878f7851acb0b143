#include "client/sql_output.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace holdfast::client {
namespace {

// The largest integer up to which a double, the number of many readers of JSON, is exact.
constexpr int64_t kJsonIntegerMax = (int64_t{1} << 53) - 1;

// Returns whether the value is NULL. NaN is NULL in SQLite.
bool IsNull(const v1::SqlValue& value) {
  return value.kind_case() == v1::SqlValue::KIND_NOT_SET || (value.has_real() && std::isnan(value.real()));
}

// Returns the number with a point or an exponent, so that it reads as a real again.
std::string RealText(double value) {
  if (std::isinf(value)) return value > 0 ? "Inf" : "-Inf";
  char digits[32];
  std::string text(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string TableText(const v1::SqlValue& value) {
  if (IsNull(value)) return "";
  if (value.has_integer()) return absl::StrCat(value.integer());
  if (value.has_real()) return RealText(value.real());
  if (value.has_text()) return value.text();
  return absl::StrCat("X'", absl::AsciiStrToUpper(absl::BytesToHexString(value.blob())), "'");
}

void AppendJsonString(absl::string_view text, std::string* json) {
  *json += '"';
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (c == '"' || c == '\\') {
      *json += '\\';
      *json += text[i];
    } else if (c == '\n') {
      *json += "\\n";
    } else if (c == '\t') {
      *json += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(json, "\\u%04x", c);
    } else if (c == 0xC2 && next >= 0x80 && next < 0xA0) {
      // U+0080 to U+009F: control characters too
      absl::StrAppendFormat(json, "\\u%04x", next);
      ++i;
    } else {
      *json += text[i];
    }
  }
  *json += '"';
}

void AppendJson(const v1::SqlValue& value, std::string* json) {
  if (IsNull(value)) {
    *json += "null";
  } else if (value.has_integer()) {
    const bool exact = value.integer() >= -kJsonIntegerMax && value.integer() <= kJsonIntegerMax;
    absl::StrAppend(json, exact ? "" : "\"", value.integer(), exact ? "" : "\"");
  } else if (value.has_real()) {
    *json += std::isinf(value.real()) ? (value.real() > 0 ? "\"Infinity\"" : "\"-Infinity\"") : RealText(value.real());
  } else {
    AppendJsonString(value.has_text() ? value.text() : absl::Base64Escape(value.blob()), json);
  }
}

std::string CsvQuoted(absl::string_view text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string CsvText(absl::string_view text) {
  const bool plain = !text.empty() && text.find_first_of("\",\r\n") == absl::string_view::npos && text.front() != ' ' &&
                     text.back() != ' ';
  return plain ? std::string(text) : CsvQuoted(text);
}

std::string Csv(const v1::SqlValue& value) {
  if (IsNull(value)) return "";
  if (value.has_text()) return CsvText(value.text());
  if (value.has_blob()) return CsvText(absl::Base64Escape(value.blob()));
  return TableText(value);
}

// Returns the value in a column; NULL if the row is shorter than the header.
const v1::SqlValue& ValueAt(const v1::SqlRow& row, int column) {
  return column < row.values_size() ? row.values(column) : v1::SqlValue::default_instance();
}

void PrintTable(const v1::SqlResult& result, TextOutput& text) {
  if (result.rows().empty()) return;
  std::vector<std::string> header;
  std::vector<size_t> widths;
  for (const v1::SqlColumn& column : result.columns()) {
    header.push_back(column.name());
    widths.push_back(std::max<size_t>(TextWidth(column.name()), 1));
  }
  std::vector<std::vector<std::string>> lines(1);
  for (const v1::SqlRow& row : result.rows()) {
    std::vector<std::string>& line = lines.emplace_back();
    for (int i = 0; i < result.columns_size(); ++i) {
      line.push_back(TableText(ValueAt(row, i)));
      widths[i] = std::max(widths[i], TextWidth(line[i]));
    }
  }
  for (const size_t width : widths) lines[0].emplace_back(width, '-');
  text.EndTable();
  text.Table(header, lines);
}

void PrintJson(const v1::SqlResult& result, TextOutput& text) {
  std::set<std::string> taken;
  std::vector<std::string> keys;
  for (const v1::SqlColumn& column : result.columns()) {
    std::string name = column.name();
    for (int n = 1; !taken.insert(name).second; ++n) name = absl::StrCat(column.name(), ":", n);
    AppendJsonString(name, &keys.emplace_back());
  }
  for (const v1::SqlRow& row : result.rows()) {
    std::string json;
    for (int i = 0; i < result.columns_size(); ++i) {
      absl::StrAppend(&json, i == 0 ? "{" : ",", keys[i], ":");
      AppendJson(ValueAt(row, i), &json);
    }
    text.Raw(absl::StrCat(json, "}\n"));
  }
}

void PrintCsv(const v1::SqlResult& result, TextOutput& text) {
  std::string csv;
  for (int i = 0; i < result.columns_size(); ++i) {
    absl::StrAppend(&csv, i == 0 ? "" : ",", CsvText(result.columns(i).name()));
  }
  csv += "\r\n";
  for (const v1::SqlRow& row : result.rows()) {
    for (int i = 0; i < result.columns_size(); ++i) absl::StrAppend(&csv, i == 0 ? "" : ",", Csv(ValueAt(row, i)));
    csv += "\r\n";
  }
  text.Raw(csv);
}

}  // namespace

void PrintSqlResult(SqlFormat format, const v1::SqlResult& result, TextOutput& text) {
  if (result.columns().empty()) return;
  switch (format) {
    case SqlFormat::kTable:
      return PrintTable(result, text);
    case SqlFormat::kJson:
      return PrintJson(result, text);
    case SqlFormat::kCsv:
      return PrintCsv(result, text);
  }
}

}  // namespace holdfast::client
