#include "service/call/import_places.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

absl::Status Refused(int max, absl::string_view what) {
  return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                           absl::StrCat(max, what, "; nothing was done"), absl::Seconds(1));
}

}  // namespace

ImportPlaces::Place::~Place() {
  if (!taken_) return;
  MutexLock lock(&places_->mutex_);
  --places_->taken_;
  auto of_namespace = places_->of_namespace_.find(namespace_);
  if (--of_namespace->second == 0) places_->of_namespace_.erase(of_namespace);
}

absl::Status ImportPlaces::Place::Take(absl::string_view ns) {
  MutexLock lock(&places_->mutex_);
  if (places_->taken_ >= places_->max_) return Refused(places_->max_, " imports are under way (sql.imports_max)");
  // A namespace without an import may have one, since the bound is at least 1.
  int& of_namespace = places_->of_namespace_[ns];
  if (of_namespace >= places_->namespace_max_) {
    return Refused(places_->namespace_max_,
                   absl::StrCat(" imports of the namespace ", ns, " are under way (sql.namespace_imports_max)"));
  }
  ++of_namespace;
  ++places_->taken_;
  namespace_ = std::string(ns);
  taken_ = true;
  return absl::OkStatus();
}

}  // namespace holdfast::service
