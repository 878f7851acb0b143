#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

// The object and the token of a delivery.
template <class Request>
void DeclareDelivery(Arguments& arguments, Request& request) {
  arguments.ObjectName(request.mutable_object());
  arguments
      .Text("TOKEN", "", "Token of the delivery, as `watch` prints it",
            [&request](const std::string& token) { request.set_delivery_token(token); })
      ->required();
}

template <class Request>
void DeclareLease(Arguments& arguments, Request& request, const std::string& help) {
  arguments.Duration("--lease", help, [&request](const auto& lease) { *request.mutable_lease() = lease; });
}

struct WatchArguments {
  v1::WatchAlarmsRequest request;
  int64_t count = 0;  // 0: no end
};

// Prints deliveries as they come.
int RunWatch(WatchArguments& watch, Session& session) {
  SetNamespace(session.globals(), watch.request);
  int64_t seen = 0;
  int exit_status = kExitOk;
  const auto on_alarm = [&](const v1::WatchAlarmsResponse& alarm) {
    if (session.globals().json) {
      exit_status = session.PrintJson(alarm);
    } else {
      session.text().Table({"SCHEDULED", "RETRIES", "LEASE ENDS", "TOKEN", "NAME"},
                           {{TableTime(alarm.scheduled_time()), absl::StrCat(alarm.retry_count()),
                             TableTime(alarm.lease_expire_time()), alarm.delivery_token(), alarm.object().name()}});
    }
    // Nobody can acknowledge a delivery that nobody has seen, so the watch ends when the output is gone.
    return session.Flush() && exit_status == kExitOk && ++seen != watch.count;
  };
  const absl::Status status = session.client().WatchAlarms(watch.request, on_alarm);
  return status.ok() ? exit_status : session.Failed(CallKind::kIdempotent, status);
}

CommandBody DeclareWatch(Arguments& arguments) {
  auto watch = std::make_shared<WatchArguments>();
  arguments.PrintsJson<v1::WatchAlarmsResponse>();
  v1::WatchAlarmsRequest& request = watch->request;
  arguments.TakesNoRequestId();
  arguments.Text("--prefix", "TEXT", "Only of objects whose names begin with this",
                 [&request](const std::string& prefix) { request.set_name_prefix(prefix); });
  arguments.Number<int32_t>(
      "--max-outstanding", "Deliveries that are not yet acknowledged at a time; 0, the default, is the server's 16",
      [&request](int32_t n) { request.set_max_outstanding(n); }, 0);
  DeclareLease(arguments, request, "How long a delivery stays this watch's; default 30s, 100ms to 15m");
  arguments.Number(
      "--count", "End after so many; default never. The --timeout does not count here",
      [watch](int64_t n) { watch->count = n; }, 1);
  return [watch](Session& session) { return RunWatch(*watch, session); };
}

}  // namespace

void AddAlarmCommands(CommandGroup& object) {
  CommandGroup alarm = object.Group("alarm", "The one alarm of an object, and its delivery");
  alarm.Add(Unary<&ObjectService::Stub::SetAlarm>{
      .name = "set",
      .help = "Set the alarm, in place of the one that is set",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments
                .Value("TIME", "",
                       "When, e.g. 2024-05-01T12:00:00Z, or +10m from now on, whatever this machine's clock says",
                       [&request](const std::string& text) {
                         if (absl::StartsWith(text, "+")) {
                           const absl::StatusOr<absl::Duration> delay = ParseFiniteDuration(text.substr(1));
                           if (delay.ok()) *request.mutable_delay() = ToProto(*delay);
                           return delay.status();
                         }
                         const absl::StatusOr<absl::Time> time = ParseMoment(text, absl::Now());
                         if (time.ok()) *request.mutable_scheduled_time() = ToProto(*time);
                         return time.status();
                       })
                ->required();
          },
      .print =
          [](const auto& request, const auto& response, TextOutput& text) {
            // A server of version 0.1.0 does not tell the time.
            text.Line(absl::StrCat("set for  ", TimeText(response.has_scheduled_time() ? response.scheduled_time()
                                                                                       : request.scheduled_time())));
          },
  });
  alarm.Add(Unary<&ObjectService::Stub::GetAlarm>{
      .name = "get",
      .help = "Print when the alarm comes",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Line(response.has_scheduled_time() ? TimeText(response.scheduled_time()) : "no alarm is set");
          },
  });
  alarm.Add(Unary<&ObjectService::Stub::DeleteAlarm>{
      .name = "delete",
      .help = "Unset the alarm; while it is being delivered, stop its retries",
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("deleted"); },
  });
  alarm.Command("watch", "Print the alarms of objects of class Object as they come due, each leased to this watch",
                DeclareWatch);
  alarm.Add(Unary<&ObjectService::Stub::AcknowledgeAlarm>{
      .name = "ack",
      .help = "End a delivery: the alarm is done",
      .arguments =
          [](Arguments& arguments, auto& request) {
            DeclareDelivery(arguments, request);
            arguments.FreeText("--error", "MESSAGE", "The attempt has failed; the alarm is retried",
                               [&request](const std::string& message) {
                                 request.mutable_error()->set_code(grpc::StatusCode::UNKNOWN);
                                 request.mutable_error()->set_message(message);
                                 return absl::OkStatus();
                               });
          },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("acknowledged"); },
  });
  alarm.Add(Unary<&ObjectService::Stub::ExtendAlarmLease>{
      .name = "extend",
      .help = "Keep a delivery for longer; prints until when",
      .arguments =
          [](Arguments& arguments, auto& request) {
            DeclareDelivery(arguments, request);
            DeclareLease(arguments, request, "How long from now; default 30s, 100ms to 15m");
          },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Line(absl::StrCat("lease ends  ", TimeText(response.lease_expire_time())));
          },
  });
}

}  // namespace holdfast::client
