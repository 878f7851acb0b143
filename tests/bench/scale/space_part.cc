// Measures the disk space of the objects of each class, and how many bytes the process writes for each byte that
// clients gave it. Memtables and write-ahead log are small, so that the writes to tables are included.

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/bench/scale/calls.h"
#include "tests/bench/scale/parts.h"
#include "tests/bench/scale/server.h"

namespace holdfast::bench {
namespace {

constexpr const char* kConfig = "storage { memtable_bytes: 8388608 wal_bytes_max: 16777216 column_families_max: 0 }";
constexpr int64_t kChangesOfObject = 10;
constexpr int64_t kObjectsMin = 1000;

std::optional<Target> TargetOf(Kind kind) {
  if (kind == Kind::kCounter) return AtMost(4);
  if (kind == Kind::kRateLimiter) return AtMost(8);
  return std::nullopt;
}

void Measure(Kind kind, int64_t objects, Report* report) {
  Server server(kConfig);
  server.Start();
  const Line line{server.address()};
  const int64_t written_before = server.DiskBytesWritten();
  // The changes go to each object in turn, so that a flush can merge few changes of one object.
  const auto calls = Changes(kind, line, {.object = [objects](int64_t number) { return number % objects; }});
  const LoadResult result = MustRunCalls(NameOf(kind), calls.get(), line.slots, objects * kChangesOfObject);
  server.WaitUntilQuiet();
  const auto written = static_cast<double>(server.DiskBytesWritten() - written_before);
  const DirectorySize left = server.Size();
  server.Stop();
  server.Flush(true);
  const DirectorySize compacted = server.Size();
  const std::string name = NameOf(kind);
  const auto count = static_cast<double>(objects);
  report->Add(absl::StrCat(name, ": bytes on disk per object, compacted"),
              static_cast<double>(compacted.table_bytes) / count, "B");
  report->Add(absl::StrCat(name, ": bytes written for each that was given"),
              written / static_cast<double>(LogicalBytesOf(kind) * result.calls), "", TargetOf(kind));
  report->Note(absl::StrFormat(
      "%d changes of %d objects at %.0f/s, %d bytes given and %.0f written for each; %.0f MB "
      "when the server was done with it, of which %.0f MB log",
      result.calls, objects, result.calls_per_s(), LogicalBytesOf(kind), written / static_cast<double>(result.calls),
      static_cast<double>(left.bytes) / 1e6, static_cast<double>(left.wal_bytes) / 1e6));
}

}  // namespace

void RunSpace(const ScaleOptions& options, Report* report) {
  const int64_t objects = std::max(kObjectsMin, options.objects / 50);
  report->Begin("space", absl::StrCat(objects, " objects of each class, ", kChangesOfObject,
                                      " changes of each; memtables 8 MiB, write-ahead log 16 MiB, all packed; 256 "
                                      "calls under way"));
  for (const Kind kind : kKinds) Measure(kind, objects, report);
}

}  // namespace holdfast::bench
