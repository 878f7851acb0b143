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
  if (!has_namespace_) return;
  auto of_namespace = places_->of_namespace_.find(namespace_);
  if (--of_namespace->second == 0) places_->of_namespace_.erase(of_namespace);
}

absl::Status ImportPlaces::Place::Take() {
  MutexLock lock(&places_->mutex_);
  if (places_->taken_ >= places_->max_) return Refused(places_->max_, " imports are under way (sql.imports_max)");
  ++places_->taken_;
  taken_ = true;
  return absl::OkStatus();
}

absl::Status ImportPlaces::Place::SetNamespace(absl::string_view ns) {
  MutexLock lock(&places_->mutex_);
  auto of_namespace = places_->of_namespace_.find(ns);
  if (of_namespace == places_->of_namespace_.end()) {
    // A namespace without an import may have one, since the bound is at least 1.
    places_->of_namespace_.emplace(ns, 1);
  } else if (of_namespace->second < places_->namespace_max_) {
    ++of_namespace->second;
  } else {
    return Refused(places_->namespace_max_,
                   absl::StrCat(" imports of the namespace ", ns, " are under way (sql.namespace_imports_max)"));
  }
  namespace_ = std::string(ns);
  has_namespace_ = true;
  return absl::OkStatus();
}

}  // namespace holdfast::service
