#include "service/settings.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/config_enums.h"

namespace holdfast::service {
namespace {

using config::v1::Setting;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool IsNumber(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
    default:
      return true;
  }
}

// Returns true if the field is a message that has something to complete. Any other message stays unset, so that the
// text of the configuration does not have it.
bool IsSection(const FieldDescriptor& field) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field.is_repeated()) return false;
  const Descriptor& type = *field.message_type();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& inner = *type.field(i);
    if (IsNumber(inner) || inner.options().HasExtension(config::v1::setting) || IsSection(inner)) return true;
  }
  return false;
}

void CompleteNumber(const FieldDescriptor& field, const std::string& name, Message* section, Problems* problems) {
  const Setting& setting = SettingOf(field);
  const bool wide = field.cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  if ((!wide && field.cpp_type() != FieldDescriptor::CPPTYPE_INT32) || !field.has_presence() ||
      !setting.has_default_() || !setting.has_least() || !setting.has_most()) {
    problems->Add(name, "its field is no optional int32 or int64 with a default, least and most");
    return;
  }
  const Reflection& reflection = *section->GetReflection();
  if (!reflection.HasField(*section, &field)) {
    if (wide) {
      reflection.SetInt64(section, &field, setting.default_());
    } else {
      reflection.SetInt32(section, &field, static_cast<int32_t>(setting.default_()));
    }
    return;
  }
  const int64_t value = wide ? reflection.GetInt64(*section, &field) : reflection.GetInt32(*section, &field);
  if (value >= setting.least() && value <= setting.most()) return;
  problems->Add(name, absl::StrCat(value, " is not from ", setting.least(), " to ", setting.most()));
}

void CompleteText(const FieldDescriptor& field, const std::string& name, Message* section, Problems* problems) {
  const std::string& by_default = SettingOf(field).default_text();
  const Reflection& reflection = *section->GetReflection();
  if (by_default.empty() || reflection.HasField(*section, &field)) return;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    reflection.SetBool(section, &field, by_default == "true");
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    reflection.SetString(section, &field, by_default);
  } else if (const auto* const value = FindEnumValue(*field.enum_type(), by_default); value != nullptr) {
    reflection.SetEnum(section, &field, value);
  } else {
    problems->Add(name, NotAnEnumValue(*field.enum_type(), by_default));
  }
}

// `prefix` is the name of the section and a dot, or empty.
void CompleteSection(const std::string& prefix, Message* section, Problems* problems) {
  const Descriptor& type = *section->GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string name = absl::StrCat(prefix, field.name());
    if (IsNumber(field)) {
      CompleteNumber(field, name, section, problems);
    } else if (IsSection(field)) {
      CompleteSection(absl::StrCat(name, "."), section->GetReflection()->MutableMessage(section, &field), problems);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && field.is_repeated()) {
      const Reflection& reflection = *section->GetReflection();
      for (int j = 0; j < reflection.FieldSize(*section, &field); ++j) {
        CompleteSection(absl::StrCat(name, "[", j, "]."), reflection.MutableRepeatedMessage(section, &field, j),
                        problems);
      }
    } else if (field.options().HasExtension(config::v1::setting)) {
      CompleteText(field, name, section, problems);
    }
  }
}

}  // namespace

const Setting& SettingOf(const FieldDescriptor& field) { return field.options().GetExtension(config::v1::setting); }

void Problems::Add(absl::string_view setting, absl::string_view problem) {
  problems_.push_back(absl::StrCat(setting, ": ", problem));
}

void Problems::Add(const absl::Status& status) {
  if (!status.ok()) problems_.emplace_back(status.message());
}

absl::Status Problems::ToStatus() const {
  if (problems_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("configuration: ", absl::StrJoin(problems_, "; ")));
}

void CompleteSettings(Message* config, Problems* problems) { CompleteSection("", config, problems); }

}  // namespace holdfast::service
