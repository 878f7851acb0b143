#include "service/request_object.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {

absl::Status FindObject(absl::string_view ns, absl::string_view name, const actors::ObjectClass* object_class,
                        RequestObject* object) {
  const bool plain = std::all_of(ns.begin(), ns.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  if (!plain || ns.size() > kNamespaceBytesMax) {
    return actors::InvalidField("object.namespace", absl::StrCat("must be 1 to ", kNamespaceBytesMax,
                                                                 " of a-z, 0-9 and '-', or empty for \"default\""));
  }
  if (name.empty()) return actors::InvalidField("object.name", "must not be empty");
  if (name.size() > kNameBytesMax) {
    return actors::InvalidField("object.name", absl::StrCat("has ", name.size(), " bytes; at most ", kNameBytesMax));
  }
  object->object_class = object_class;
  object->key = storage::ObjectKey(ns.empty() ? absl::string_view(kDefaultNamespace) : ns, object_class->name, name);
  return absl::OkStatus();
}

absl::Status RefuseRequestId() {
  return actors::UnsupportedField("request_id", "this version keeps no request records; leave it empty");
}

}  // namespace holdfast::service
