// Tells two observers of each event: the server's own, and that of a program that extends it.

#ifndef HOLDFAST_SERVICE_METRICS_OBSERVERS_H_
#define HOLDFAST_SERVICE_METRICS_OBSERVERS_H_

#include "storage/base/observer.h"

namespace holdfast::service {

// Threading: as the observers. Ownership: both outlive it.
class Observers final : public storage::Observer {
 public:
  Observers(storage::Observer* first, storage::Observer* second) : first_(first), second_(second) {}

  void CallRefused(absl::string_view method, const absl::Status& why) override {
    Tell(&Observer::CallRefused, method, why);
  }
  void CallEnded(const CallStats& stats) override { Tell(&Observer::CallEnded, stats); }
  void CallBytes(size_t method, size_t received, size_t sent) override {
    Tell(&Observer::CallBytes, method, received, sent);
  }
  void RequestQueued(absl::string_view object_class, size_t depth) override {
    Tell(&Observer::RequestQueued, object_class, depth);
  }
  void RequestRefused(absl::string_view object_class, const absl::Status& why) override {
    Tell(&Observer::RequestRefused, object_class, why);
  }
  void RequestBegun(absl::string_view object_class) override { Tell(&Observer::RequestBegun, object_class); }
  void RequestEnded(absl::string_view object_class, const absl::Status& outcome, absl::Duration time) override {
    Tell(&Observer::RequestEnded, object_class, outcome, time);
  }
  void Activated(absl::string_view object_class, absl::Duration time) override {
    Tell(&Observer::Activated, object_class, time);
  }
  void LoadFailed(absl::string_view object_class) override { Tell(&Observer::LoadFailed, object_class); }
  void Passivated(absl::string_view object_class) override { Tell(&Observer::Passivated, object_class); }
  void Moved(bool packed, bool done) override { Tell(&Observer::Moved, packed, done); }
  void SqlEnded(const SqlStats& stats) override { Tell(&Observer::SqlEnded, stats); }
  void AlarmBegun(absl::string_view object_class, absl::Duration late) override {
    Tell(&Observer::AlarmBegun, object_class, late);
  }
  void AlarmFailed(absl::string_view object_class, int attempt, bool dropped) override {
    Tell(&Observer::AlarmFailed, object_class, attempt, dropped);
  }
  void CommitEnded(const CommitStats& stats) override { Tell(&Observer::CommitEnded, stats); }
  void LogAppended(const LogStats& stats) override { Tell(&Observer::LogAppended, stats); }
  void FoldEnded(const CommitStats& stats) override { Tell(&Observer::FoldEnded, stats); }
  void StoreStalled(absl::string_view family, bool stalled) override { Tell(&Observer::StoreStalled, family, stalled); }
  void TableWritten(const TableStats& stats) override { Tell(&Observer::TableWritten, stats); }

 private:
  template <typename... Parameters, typename... Arguments>
  void Tell(void (Observer::*event)(Parameters...), const Arguments&... arguments) {
    (first_->*event)(arguments...);
    (second_->*event)(arguments...);
  }

  storage::Observer* const first_;
  storage::Observer* const second_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_OBSERVERS_H_
