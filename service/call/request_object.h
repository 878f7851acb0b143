// Finds the object, or the namespace, that a request is for. In every request on one object, `object` is field 1 and
// `request_id` field 2, so this code need not know the method.

#ifndef HOLDFAST_SERVICE_CALL_REQUEST_OBJECT_H_
#define HOLDFAST_SERVICE_CALL_REQUEST_OBJECT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "actors/object.h"
#include "actors/wire/errors.h"
#include "service/call/call_gate.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

inline constexpr size_t kNamespaceBytesMax = 63;
inline constexpr size_t kNameBytesMax = 512;
inline constexpr char kDefaultNamespace[] = "default";
inline constexpr char kDefaultClass[] = "Object";

struct RequestObject {
  storage::ObjectKey key;
  const actors::ObjectClass* object_class = nullptr;
};

// INVALID_ARGUMENT, naming the field, unless the namespace is empty or within its bounds.
absl::Status CheckNamespace(absl::string_view ns, absl::string_view field);
inline absl::string_view NamespaceOrDefault(absl::string_view ns) { return ns.empty() ? kDefaultNamespace : ns; }
// Makes the key of an object. INVALID_ARGUMENT if a name is out of its bounds.
absl::Status FindObject(absl::string_view ns, absl::string_view name, const actors::ObjectClass* object_class,
                        RequestObject* object);
// Returns "namespace/class/name" for the log. Each part is cut at the bound of a name, since it may be invalid.
std::string ObjectNameOf(absl::string_view ns, absl::string_view object_class, absl::string_view name);
absl::Status CheckRequestId(absl::string_view request_id);

// Finds the class of a request's object: `implied`, the class of the service, or if that is null the one that the
// request names, which must be one of `classes`.
template <typename Request>
absl::StatusOr<const actors::ObjectClass*> FindClass(const Request& request, const actors::ObjectClass* implied,
                                                     const actors::ClassRegistry& classes) {
  if constexpr (requires { request.object().object_class(); }) {
    const std::string& name = request.object().object_class();
    const actors::ObjectClass* const named = classes.Find(name.empty() ? kDefaultClass : name);
    if (named == nullptr) return actors::InvalidField("object.object_class", "is no class of this server");
    return named;
  }
  return implied;
}

// Finds the object that the request names, checks its name and the request_id, and asks the gate for it.
template <typename Request>
absl::Status AdmitObject(const Request& request, const actors::ObjectClass* implied,
                         const actors::ClassRegistry& classes, Admission admit, RequestObject* object) {
  if (!request.has_object()) return actors::InvalidField("object", "is missing");
  if constexpr (requires { request.request_id(); }) {
    if (absl::Status status = CheckRequestId(request.request_id()); !status.ok()) return status;
  }
  const auto object_class = FindClass(request, implied, classes);
  if (!object_class.ok()) return object_class.status();
  const auto& named = request.object();
  if (absl::Status status = FindObject(named.namespace_(), named.name(), *object_class, object); !status.ok()) {
    return status;
  }
  Target target = Target::Object(NamespaceOrDefault(named.namespace_()), named.name(), *object_class);
  if constexpr (requires { request.read_only(); }) target.reads_only = request.read_only();
  return admit(target);
}

// Returns "namespace/class/name", for the log, of the object that the request names, valid or not; "" if it names none.
template <typename Request>
std::string ObjectNameOf(const Request& request, absl::string_view implied_class) {
  if constexpr (requires { request.object().name(); }) {
    if (!request.has_object()) return "";
    absl::string_view object_class = implied_class;
    if constexpr (requires { request.object().object_class(); }) {
      if (!request.object().object_class().empty()) object_class = request.object().object_class();
    }
    return ObjectNameOf(request.object().namespace_(), object_class, request.object().name());
  }
  return "";
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REQUEST_OBJECT_H_
