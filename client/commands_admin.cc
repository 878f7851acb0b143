// The commands of `holdfast admin`, for those who run the server.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::AdminService;

// Clears the screen and goes to its first line.
constexpr absl::string_view kClear = "\x1b[H\x1b[2J";
constexpr absl::Duration kRefreshDefault = absl::Seconds(2);
constexpr absl::Duration kRefreshMin = absl::Milliseconds(100);

std::string OfMost(int64_t bytes, int64_t bytes_max) {
  return bytes_max == 0 ? BytesText(bytes) : absl::StrCat(BytesText(bytes), " of ", BytesText(bytes_max));
}

// Returns a duration of the processor, to the hundredth of a second.
std::string Seconds(const google::protobuf::Duration& time) {
  return absl::FormatDuration(absl::Seconds(time.seconds()) +
                              absl::Trunc(absl::Nanoseconds(time.nanos()), absl::Milliseconds(10)));
}

void PrintStatus(const v1::GetStatusResponse& status, TextOutput& text) {
  const auto& [calls, commits, disk] = std::tie(status.calls(), status.commits(), status.disk());
  std::vector<std::pair<std::string, std::string>> fields = {
      {"version", absl::StrCat(status.version(), ", format ", status.storage_format())},
      {"state", status.draining() ? "draining" : "serving"},
      {"up", absl::StrCat(DurationText(status.uptime()), ", since ", TimeText(status.start_time()))},
      {"calls",
       absl::StrCat(calls.in_progress(), " in progress, ", calls.streams(), " of them streams, on ",
                    calls.connections(), " connections; ", calls.ended(), " ended, ", calls.refused(), " refused")},
      {"commits", absl::StrCat(commits.commits(), ", ", commits.failed(), " failed; ", BytesText(commits.log_bytes()),
                               " to the log, ", commits.folds(), " folds")},
      {"not folded", OfMost(commits.unfolded_bytes(), commits.unfolded_bytes_max())},
      {"alarms",
       absl::StrCat(status.alarms().running(), " running, ", status.alarms().waiting(), " due and not taken, ",
                    status.alarms().watchers(), " watchers; backlog ", DurationText(status.alarms().backlog()))},
      {"families", absl::StrCat(status.families().used(), " of ", status.families().used_max())},
      {"request records", absl::StrCat(status.request_records().records(), ", ",
                                       OfMost(status.request_records().bytes(), status.request_records().bytes_max()))},
      {"disk",
       absl::StrCat(BytesText(disk.free_bytes()), " free, reserve ", BytesText(disk.reserve_bytes()), "; tables ",
                    BytesText(disk.table_bytes()), ", to be compacted ", BytesText(disk.pending_compaction_bytes()))},
  };
  for (const v1::MemoryUse& use : status.memory()) {
    fields.emplace_back(absl::StrCat("memory: ", use.owner()), OfMost(use.bytes(), use.bytes_max()));
  }
  for (const v1::NodeStatus& node : status.other_nodes()) {
    const v1::GetStatusResponse& other = node.status();
    fields.emplace_back(absl::StrCat("node: ", node.node()),
                        node.error().empty()
                            ? absl::StrCat(other.draining() ? "draining" : "serving", ", up ",
                                           DurationText(other.uptime()), ", ", other.calls().in_progress(), " calls")
                            : absl::StrCat("does not answer: ", node.error()));
  }
  text.Fields(fields);
  std::vector<std::vector<std::string>> rows;
  for (const v1::ExecutorStatus& executor : status.executors()) {
    rows.push_back({absl::StrCat(executor.number()), executor.unresponsive() ? "no answer" : "well",
                    Seconds(executor.cpu_time()), absl::StrCat(executor.active_objects()),
                    BytesText(executor.active_object_bytes()), BytesText(executor.pending_commit_bytes()),
                    absl::StrCat(executor.alarms_running()), absl::StrCat(executor.sql_waiting())});
  }
  text.Table({"EXEC", "STATE", "CPU", "OBJECTS", "MEMORY", "PENDING", "ALARMS", "SQL WAITS"}, rows);
}

absl::StatusOr<v1::HotOrder> ParseOrder(const std::string& word) {
  if (word == "requests") return v1::HOT_ORDER_REQUESTS;
  if (word == "time") return v1::HOT_ORDER_TIME;
  if (word == "bytes") return v1::HOT_ORDER_BYTES_WRITTEN;
  return absl::InvalidArgumentError("must be requests, time or bytes");
}

void PrintHot(const v1::ListHotObjectsResponse& hot, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::HotObject& object : hot.objects()) {
    rows.push_back({absl::StrCat(object.requests()), DurationText(object.time()), BytesText(object.bytes_written()),
                    object.object().namespace_(), object.object().object_class(), object.object().name()});
  }
  text.Line(rows.empty() ? "no object had a request"
                         : absl::StrCat("the busiest objects of the last ", DurationText(hot.window())));
  text.Table({"REQUESTS", "TIME", "WRITTEN", "NAMESPACE", "CLASS", "NAME"}, rows);
  text.EndTable();
}

struct TopArguments {
  v1::ListHotObjectsRequest request;
  absl::Duration refresh = kRefreshDefault;
  int64_t count = 0;  // 0: once, or at a terminal without end
};

int RunTop(const TopArguments& top, Session& session) {
  const bool repeats = session.terminal().out && !session.globals().json;
  const int64_t count = top.count > 0 ? top.count : repeats ? 0 : 1;
  for (int64_t shown = 0; count == 0 || shown < count; ++shown) {
    // The time between two looks, which is what the command is for.
    if (shown > 0) session.Sleep(top.refresh);
    const auto status =
        session.client().Call(CallKind::kIdempotent, &AdminService::Stub::GetStatus, v1::GetStatusRequest());
    if (!status.ok()) return session.Failed(CallKind::kIdempotent, status.status());
    const auto hot = session.client().Call(CallKind::kIdempotent, &AdminService::Stub::ListHotObjects, top.request);
    if (!hot.ok()) return session.Failed(CallKind::kIdempotent, hot.status());
    if (session.globals().json) {
      if (const int failed = session.PrintJson(*hot); failed != kExitOk) return failed;
    } else {
      if (repeats) session.text().Raw(kClear);
      session.text().Line(absl::StrCat("up ", DurationText(status->uptime()), ", ", status->calls().ended(), " calls, ",
                                       status->calls().refused(), " refused, ", status->calls().in_progress(),
                                       " in progress, ", status->commits().commits(), " commits"));
      PrintHot(*hot, session.text());
    }
    // Nobody sees the rest if the output is gone.
    if (!session.Flush()) return kExitFailed;
  }
  return kExitOk;
}

CommandBody DeclareTop(Arguments& arguments) {
  auto top = std::make_shared<TopArguments>();
  arguments.TakesNoRequestId();
  arguments.PrintsJson<v1::ListHotObjectsResponse>();
  arguments.TakesWords(arguments.Value("--by", "ORDER", "requests, time or bytes (written); default requests",
                                       [top](const std::string& word) {
                                         const absl::StatusOr<v1::HotOrder> order = ParseOrder(word);
                                         if (order.ok()) top->request.set_order(*order);
                                         return order.status();
                                       }),
                       {"requests", "time", "bytes"});
  arguments.Number<int32_t>(
      "--limit", "At most so many objects; 0, the default, is the server's 20, and it gives 100 at most",
      [top](int32_t n) { top->request.set_limit(n); }, 0);
  arguments.Value("--refresh", "DURATION", "Time between two looks; default 2s, at least 100ms",
                  [top](const std::string& text) {
                    const absl::StatusOr<absl::Duration> refresh = ParseFiniteDuration(text);
                    if (!refresh.ok()) return refresh.status();
                    if (*refresh < kRefreshMin) return absl::InvalidArgumentError("must be at least 100ms");
                    top->refresh = *refresh;
                    return absl::OkStatus();
                  });
  arguments.Number(
      "--count", "Look so often; default without end at a terminal, and once elsewhere",
      [top](int64_t n) { top->count = n; }, 1);
  return [top](Session& session) { return RunTop(*top, session); };
}

// Runs work on the store, and prints how far it is as it goes on. `print` prints a reply for people, and returns the
// exit status of the last one.
template <class Stub, class Request, class Response>
int RunWork(std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(grpc::ClientContext*, const Request&),
            const Request& request, const std::function<int(const Response&, TextOutput&)>& print, Session& session) {
  int exit_status = kExitOk;
  const auto on_reply = [&](const Response& response) {
    exit_status = print(response, session.text());
    if (session.globals().json) {
      if (const int failed = session.PrintJson(response); failed != kExitOk) exit_status = failed;
    }
    // Nothing comes after the reply that says that all is done.
    return session.Flush() && !response.done();
  };
  const absl::Status status =
      session.client().Read(method, request, absl::FunctionRef<bool(const Response&)>(on_reply));
  return status.ok() ? exit_status : session.Failed(CallKind::kIdempotent, status);
}

CommandBody DeclareCompact(Arguments& arguments) {
  arguments.PrintsJson<v1::CompactStoreResponse>();
  arguments.TakesNoRequestId();
  return [](Session& session) {
    const bool json = session.globals().json;
    return RunWork<AdminService::Stub, v1::CompactStoreRequest, v1::CompactStoreResponse>(
        &AdminService::Stub::CompactStore, {},
        [json](const v1::CompactStoreResponse& response, TextOutput& text) {
          if (!json) {
            text.Line(absl::StrCat(response.done() ? "compacted  " : "compacting  ", response.families_done(), " of ",
                                   response.families(), " families"));
          }
          return kExitOk;
        },
        session);
  };
}

int PrintScrub(const v1::ScrubResponse& response, TextOutput& text) {
  text.Line(absl::StrCat(response.done() ? "checked  " : "checking  ", BytesText(response.bytes_done()), " of ",
                         BytesText(response.bytes()), ", ", response.damaged_count(), " tables are damaged"));
  std::vector<std::vector<std::string>> rows;
  for (const v1::DamagedTable& table : response.damaged_tables()) {
    rows.push_back({table.table(), table.family(), table.message()});
  }
  text.Table({"TABLE", "FAMILY", "DAMAGE"}, rows);
  return kExitOk;
}

CommandBody DeclareScrub(Arguments& arguments) {
  auto request = std::make_shared<v1::ScrubRequest>();
  arguments.PrintsJson<v1::ScrubResponse>();
  arguments.TakesNoRequestId();
  arguments.Number(
      "--rate", "Bytes to read in a second; 0, the default, is the server's 16 MiB",
      [request](int64_t n) { request->set_bytes_per_second(n); }, 0);
  return [request](Session& session) {
    const bool json = session.globals().json;
    return RunWork<AdminService::Stub, v1::ScrubRequest, v1::ScrubResponse>(
        &AdminService::Stub::Scrub, *request,
        [json](const v1::ScrubResponse& response, TextOutput& text) {
          if (!json) PrintScrub(response, text);
          return response.damaged_count() > 0 ? kExitFailed : kExitOk;
        },
        session);
  };
}

std::string LevelText(v1::LogLevel level) {
  return std::string(absl::StripPrefix(v1::LogLevel_Name(level), "LOG_LEVEL_"));
}

}  // namespace

void AddAdminCommands(CommandGroup& root) {
  CommandGroup admin = root.Group("admin", "How the server is, and work on its store");
  admin.Add(Unary<&AdminService::Stub::GetStatus>{
      .name = "status",
      .help = "Print how the server is",
      .kind = CallKind::kIdempotent,
      .print = [](const auto&, const auto& response, TextOutput& text) { PrintStatus(response, text); },
  });
  admin.Command("top", "Print the busiest objects of the last minute; at a terminal again and again", DeclareTop);
  admin.Add(Unary<&AdminService::Stub::ListNamespaces>{
      .name = "namespaces",
      .help = "List the namespaces with the number of their objects and their bytes",
      .kind = CallKind::kIdempotent,
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            std::vector<std::vector<std::string>> rows;
            for (const v1::NamespaceSummary& summary : response.namespaces()) {
              rows.push_back({absl::StrCat(summary.objects()), BytesText(summary.size_bytes()), summary.namespace_()});
            }
            text.Table({"OBJECTS", "BYTES", "NAMESPACE"}, rows);
          },
  });
  admin.Add(Unary<&AdminService::Stub::SetLogLevel>{
      .name = "log-level",
      .help = "Set the least level of messages that the server logs, until it ends; prints the level before",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            CLI::Option* const level =
                arguments.Value("LEVEL", "", "DEBUG, INFO, WARNING or ERROR", [&request](const std::string& word) {
                  v1::LogLevel level = v1::LOG_LEVEL_UNSPECIFIED;
                  v1::LogLevel_Parse("LOG_LEVEL_" + absl::AsciiStrToUpper(word), &level);
                  request.set_level(level);
                  return level == v1::LOG_LEVEL_UNSPECIFIED
                             ? absl::InvalidArgumentError("must be DEBUG, INFO, WARNING or ERROR")
                             : absl::OkStatus();
                });
            arguments.TakesWords(level, {"DEBUG", "INFO", "WARNING", "ERROR"})->required();
          },
      .print =
          [](const auto& request, const auto& response, TextOutput& text) {
            text.Line(absl::StrCat(LevelText(request.level()), ", before ", LevelText(response.previous_level())));
          },
  });
  admin.Command("compact", "Rewrite the tables of the store without what was overwritten or deleted; Ctrl-C ends it",
                DeclareCompact);
  admin.Command("scrub", "Read every block of the store and check it; exits with 1 if one is damaged; Ctrl-C ends it",
                DeclareScrub);
  AddHistoryCommand(admin);
  AddBackupCommands(admin);
}

}  // namespace holdfast::client
