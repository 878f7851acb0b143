// Bounds how many ImportSql calls are in progress, in all and in one namespace. It outlives its places. Any thread may
// use it.

#ifndef HOLDFAST_SERVICE_CALL_IMPORT_PLACES_H_
#define HOLDFAST_SERVICE_CALL_IMPORT_PLACES_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class ImportPlaces {
 public:
  // A call takes its place once its header is admitted, before it reads the file, and gives it back when it is
  // destroyed.
  class Place {
   public:
    explicit Place(ImportPlaces* places) : places_(places) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place();

    // Call it once. SERVER_OVERLOADED with RetryInfo if a bound is reached.
    absl::Status Take(absl::string_view ns);

   private:
    ImportPlaces* const places_;
    bool taken_ = false;
    std::string namespace_;
  };

  ImportPlaces(int max, int namespace_max) : max_(max), namespace_max_(namespace_max) {}
  ImportPlaces(const ImportPlaces&) = delete;
  ImportPlaces& operator=(const ImportPlaces&) = delete;

 private:
  const int max_;
  const int namespace_max_;

  Mutex mutex_;
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, int> of_namespace_ ABSL_GUARDED_BY(mutex_);  // no value is 0
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_IMPORT_PLACES_H_
