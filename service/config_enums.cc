#include "service/config_enums.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace holdfast::service {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::Tokenizer;

// Returns the prefix of the values' names, "LOG_LEVEL_" for the enum LogLevel.
std::string PrefixOf(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  return prefix + "_";
}

// Ignores mistakes of spelling, since the parser finds the same ones.
class Ignored final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

// Goes through a text in order, to find where the tokenizer's lines and columns are. A tab goes on to the next column
// that is a multiple of 8.
class Position {
 public:
  explicit Position(absl::string_view text) : text_(text) {}
  size_t OffsetOf(int line, int column) {
    while (at_ < text_.size() && (line_ < line || column_ < column)) {
      const char c = text_[at_++];
      if (c == '\n') {
        ++line_;
        column_ = 0;
      } else {
        column_ += c == '\t' ? 8 - column_ % 8 : 1;
      }
    }
    return at_;
  }

 private:
  const absl::string_view text_;
  size_t at_ = 0;
  int line_ = 0;
  int column_ = 0;
};

// Follows the tokens of a message in text format, as far as needed to know the field whose value a name is.
class Fields {
 public:
  explicit Fields(const Descriptor* type) : open_{type} {}

  // Returns the enum of which this token is a value, or null.
  const EnumDescriptor* Next(const Tokenizer::Token& token) {
    if (token.type == Tokenizer::TYPE_IDENTIFIER) {
      if (at_value_) return EndValue(field_ == nullptr ? nullptr : field_->enum_type());
      if (!in_name_) field_ = open_.back() == nullptr ? nullptr : open_.back()->FindFieldByName(token.text);
    } else if (token.text == ":") {
      at_value_ = true;
    } else if (token.text == "{" || token.text == "<") {
      open_.push_back(field_ == nullptr ? nullptr : field_->message_type());
      at_value_ = false;
    } else if (token.text == "}" || token.text == ">") {
      if (open_.size() > 1) open_.pop_back();
      at_value_ = false;
    } else if (token.text == "[") {
      // A list of values, or the name of an extension, which is no field of ours.
      in_list_ = at_value_;
      in_name_ = !in_list_;
      if (in_name_) field_ = nullptr;
    } else if (token.text == "]") {
      at_value_ = in_list_ = in_name_ = false;
    } else {
      EndValue(nullptr);
    }
    return nullptr;
  }

 private:
  const EnumDescriptor* EndValue(const EnumDescriptor* type) {
    at_value_ = in_list_;
    return type;
  }

  std::vector<const Descriptor*> open_;  // null where the parser knows no message
  const FieldDescriptor* field_ = nullptr;
  bool at_value_ = false;
  bool in_list_ = false;
  bool in_name_ = false;  // of an extension
};

}  // namespace

const EnumValueDescriptor* FindEnumValue(const EnumDescriptor& type, absl::string_view name) {
  const EnumValueDescriptor* const value = type.FindValueByName(std::string(name));
  return value != nullptr ? value : type.FindValueByName(absl::StrCat(PrefixOf(type), name));
}

std::string EnumValueList(const EnumDescriptor& type) {
  const std::string prefix = PrefixOf(type);
  std::vector<absl::string_view> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) names.push_back(absl::StripPrefix(type.value(i)->name(), prefix));
  }
  return absl::StrJoin(names, ", ");
}

std::string NotAnEnumValue(const EnumDescriptor& type, absl::string_view value) {
  return absl::StrCat("\"", value, "\" is not one of ", EnumValueList(type));
}

absl::StatusOr<std::string> WithEnumNumbers(const Descriptor& type, absl::string_view text) {
  std::string with_numbers(text);
  google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  Ignored ignored;
  Tokenizer tokenizer(&input, &ignored);
  // The parser of text format does the same.
  tokenizer.set_allow_f_after_float(true);
  tokenizer.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  tokenizer.set_require_space_after_number(false);
  tokenizer.set_allow_multiline_strings(true);
  Position position(text);
  Fields fields(&type);
  std::string field;
  while (tokenizer.Next()) {
    const Tokenizer::Token& token = tokenizer.current();
    const EnumDescriptor* const value_of = fields.Next(token);
    if (value_of == nullptr) {
      if (token.type == Tokenizer::TYPE_IDENTIFIER) field = token.text;
      continue;
    }
    const EnumValueDescriptor* const value = FindEnumValue(*value_of, token.text);
    if (value == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("line ", token.line + 1, ", column ", token.column + 1, ": ",
                                                     field, ": ", NotAnEnumValue(*value_of, token.text)));
    }
    // No name of a value is shorter than its number.
    std::string number = absl::StrCat(value->number());
    if (number.size() > token.text.size()) continue;
    number.resize(token.text.size(), ' ');
    with_numbers.replace(position.OffsetOf(token.line, token.column), token.text.size(), number);
  }
  return with_numbers;
}

}  // namespace holdfast::service
