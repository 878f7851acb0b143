// watch: counters as they change, and the items of a batch as they are processed. The server has no stream of either,
// so both are looked at again and again.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "holdfast/tool/v1/output.pb.h"

namespace holdfast::client {
namespace {

using v1::BatchProcessorService;
using v1::CounterService;

constexpr absl::Duration kIntervalDefault = absl::Seconds(1);
constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);
constexpr absl::Duration kIntervalMax = absl::Hours(1);
constexpr size_t kCountersMax = 100;
constexpr int32_t kItemsPerPage = 1000;

constexpr char kNotes[] =
    "This asks the server once in each --interval, since it has no stream of these. A look is a read, which changes "
    "nothing. Alarms come over a stream: holdfast object alarm watch. Ctrl-C ends it; so does a look that fails until "
    "--timeout is over.";

struct WatchOptions {
  absl::Duration interval = kIntervalDefault;
  int64_t count = 0;  // lines; 0: no end
};

void DeclareWatch(Arguments& arguments, WatchOptions* options) {
  arguments.TakesNoRequestId();
  arguments.Value("--interval", "DURATION", "Time between two looks; default 1s, from 100ms to 1h",
                  [options](const std::string& text) {
                    const absl::StatusOr<absl::Duration> interval = ParseFiniteDuration(text);
                    if (!interval.ok()) return interval.status();
                    if (*interval < kIntervalMin || *interval > kIntervalMax) {
                      return absl::InvalidArgumentError("must be from 100ms to 1h");
                    }
                    options->interval = *interval;
                    return absl::OkStatus();
                  });
  arguments.Number(
      "--count", "End after so many lines; default never", [options](int64_t n) { options->count = n; }, 1);
  arguments.Notes(kNotes);
}

struct CounterWatch {
  WatchOptions options;
  std::vector<std::string> names;
};

// Prints a counter. Returns whether it could be written.
bool PrintChange(const tool::v1::CounterChange& change, bool first, Session& session) {
  if (session.globals().json) return session.PrintJson(change) == kExitOk && session.Flush();
  const std::string difference = first ? "" : absl::StrCat(change.change() > 0 ? "+" : "", change.change());
  session.text().Table(
      {"TIME", "VALUE", "CHANGE", "NAME"},
      {{TableTime(change.time()), absl::StrCat(change.value()), difference, change.name()}},
      {Colour::kNone, Colour::kNone, change.change() < 0 ? Colour::kRed : Colour::kGreen, Colour::kNone});
  return session.Flush();
}

int WatchCounters(const CounterWatch& watch, Session& session) {
  std::vector<std::optional<int64_t>> values(watch.names.size());
  for (int64_t printed = 0;; session.Sleep(watch.options.interval)) {
    for (size_t i = 0; i < values.size(); ++i) {
      v1::GetValueRequest request;
      request.mutable_object()->set_name(watch.names[i]);
      SetNamespace(session.globals(), request);
      const auto reply = session.client().Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, request);
      if (!reply.ok()) return session.Failed(CallKind::kIdempotent, reply.status());
      if (values[i] == reply->value()) continue;
      tool::v1::CounterChange change;
      change.set_name(watch.names[i]);
      change.set_value(reply->value());
      // Two values may be further apart than the largest number; the difference is then taken modulo 2^64.
      if (values[i].has_value()) {
        change.set_change(
            static_cast<int64_t>(static_cast<uint64_t>(reply->value()) - static_cast<uint64_t>(*values[i])));
      }
      *change.mutable_time() = ToProto(session.Now());
      if (!PrintChange(change, !values[i].has_value(), session)) return kExitFailed;
      values[i] = reply->value();
      if (++printed == watch.options.count) return kExitOk;
    }
  }
}

CommandBody DeclareCounters(Arguments& arguments) {
  auto watch = std::make_shared<CounterWatch>();
  arguments.PrintsJson<tool::v1::CounterChange>();
  arguments.ImpliedClass();
  CLI::Option* const names =
      arguments.Values("NAME", "", "Names of the counters, 1 to 100", [watch](const std::string& name) {
        watch->names.push_back(name);
        return watch->names.size() > kCountersMax ? absl::InvalidArgumentError("at most 100 counters")
                                                  : absl::OkStatus();
      });
  arguments.NamesObject(names)->required();
  DeclareWatch(arguments, &watch->options);
  return [watch](Session& session) { return WatchCounters(*watch, session); };
}

struct BatchWatch {
  WatchOptions options;
  v1::ListProcessedItemsRequest request;
  std::optional<int64_t> after;  // absent: after the items that are processed when the watch begins
};

absl::StatusOr<v1::ListProcessedItemsResponse> ListAfter(int64_t sequence, int32_t page_size, BatchWatch& watch,
                                                         Session& session) {
  watch.request.set_after_sequence(sequence);
  watch.request.set_page_size(page_size);
  return session.client().Call(CallKind::kIdempotent, &BatchProcessorService::Stub::ListProcessedItems, watch.request);
}

// Returns the sequence of the last processed item, 0 if there is none. No method tells it, so it is searched for, in at
// most 126 calls: with steps that double until nothing is further on, and then by halves.
absl::StatusOr<int64_t> LastSequence(BatchWatch& watch, Session& session) {
  int64_t low = 0;           // an item, but for 0
  int64_t high = INT64_MAX;  // no item is after it
  for (int64_t step = 1; low < INT64_MAX - step;) {
    const auto page = ListAfter(low + step, 1, watch, session);
    if (!page.ok()) return page.status();
    if (page->items().empty()) {
      high = low + step;
      break;
    }
    low = page->items(0).sequence();
    step = std::min(step, INT64_MAX / 2) * 2;
  }
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const auto page = ListAfter(middle, 1, watch, session);
    if (!page.ok()) return page.status();
    if (page->items().empty()) {
      high = middle;
    } else {
      low = std::max(page->items(0).sequence(), middle + 1);
    }
  }
  return low;
}

int WatchBatch(BatchWatch& watch, Session& session) {
  SetNamespace(session.globals(), watch.request);
  if (!watch.after.has_value()) {
    const absl::StatusOr<int64_t> last = LastSequence(watch, session);
    if (!last.ok()) return session.Failed(CallKind::kIdempotent, last.status());
    watch.after = *last;
  }
  int64_t printed = 0;
  while (true) {
    const auto page = ListAfter(*watch.after, kItemsPerPage, watch, session);
    if (!page.ok()) return session.Failed(CallKind::kIdempotent, page.status());
    for (const v1::ProcessedItem& item : page->items()) {
      if (session.globals().json) {
        if (const int status = session.PrintJson(item); status != kExitOk) return status;
      } else {
        session.text().Table({"SEQUENCE", "PROCESSED", "ITEM"},
                             {{absl::StrCat(item.sequence()), TableTime(item.process_time()), item.item()}});
      }
      watch.after = std::max(*watch.after, item.sequence());
      if (++printed == watch.options.count) return kExitOk;
    }
    if (!page->items().empty() && !session.Flush()) return kExitFailed;
    // A page that is not the last is followed at once.
    if (page->next_page_token().empty() || page->items().empty()) session.Sleep(watch.options.interval);
  }
}

CommandBody DeclareBatch(Arguments& arguments) {
  auto watch = std::make_shared<BatchWatch>();
  arguments.PrintsJson<v1::ProcessedItem>();
  arguments.ObjectName(watch->request.mutable_object());
  arguments.Number(
      "--after", "Begin after this sequence number, 0 with the first item; default after those that are processed now",
      [watch](int64_t n) { watch->after = n; }, 0);
  DeclareWatch(arguments, &watch->options);
  return [watch](Session& session) { return WatchBatch(*watch, session); };
}

}  // namespace

void AddWatchCommands(CommandGroup& root) {
  CommandGroup watch = root.Group("watch", "Counters as they change, and items as they are processed");
  watch.OfClass("Counter").Command("counter", "Print counters, and again when they have changed", DeclareCounters);
  watch.OfClass("BatchProcessor")
      .Command("batch", "Print the items of a batch as they are processed, each once and in order", DeclareBatch);
}

}  // namespace holdfast::client
