#include "service/call/request_object.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "actors/runtime/request_records.h"

namespace holdfast::service {

absl::Status CheckNamespace(absl::string_view ns, absl::string_view field) {
  const bool plain = std::all_of(ns.begin(), ns.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  if (plain && ns.size() <= kNamespaceBytesMax) return absl::OkStatus();
  return actors::InvalidField(
      field, absl::StrCat("must be 1 to ", kNamespaceBytesMax, " of a-z, 0-9 and '-', or empty for \"default\""));
}

absl::Status FindObject(absl::string_view ns, absl::string_view name, const actors::ObjectClass* object_class,
                        RequestObject* object) {
  if (absl::Status status = CheckNamespace(ns, "object.namespace"); !status.ok()) return status;
  if (name.empty()) return actors::InvalidField("object.name", "must not be empty");
  if (name.size() > kNameBytesMax) {
    return actors::InvalidField("object.name", absl::StrCat("has ", name.size(), " bytes; at most ", kNameBytesMax));
  }
  object->object_class = object_class;
  object->key = storage::ObjectKey(NamespaceOrDefault(ns), object_class->name, name);
  return absl::OkStatus();
}

std::string ObjectNameOf(absl::string_view ns, absl::string_view object_class, absl::string_view name) {
  return absl::StrCat(NamespaceOrDefault(ns).substr(0, kNameBytesMax), "/", object_class.substr(0, kNameBytesMax), "/",
                      name.substr(0, kNameBytesMax));
}

absl::Status CheckRequestId(absl::string_view request_id) {
  if (request_id.size() <= actors::kRequestIdBytesMax) return absl::OkStatus();
  return actors::InvalidField("request_id",
                              absl::StrCat("has ", request_id.size(), " bytes; at most ", actors::kRequestIdBytesMax));
}

}  // namespace holdfast::service
