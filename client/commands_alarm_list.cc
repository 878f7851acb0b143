// alarms: those of all objects, by the time of their next attempt, for those who run the server.
//
// Lateness is by the server's clock, as GetStatus tells it, since that clock decides when an alarm is due.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "client/retry.h"
#include "holdfast/tool/v1/output.pb.h"

namespace holdfast::client {
namespace {

using tool::v1::ListedAlarm;
using v1::AdminService;
using v1::ObjectService;

struct AlarmList {
  v1::ListAlarmsRequest request;
  PageOptions pages;
  bool describe = false;
};

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

void PrintNumbers(const v1::GetStatusResponse& status, TextOutput& text) {
  v1::AlarmStatus sum = status.alarms();
  absl::Duration backlog = FromProto(sum.backlog());
  for (const v1::NodeStatus& node : status.other_nodes()) {
    const v1::AlarmStatus& other = node.status().alarms();
    sum.set_running(sum.running() + other.running());
    sum.set_waiting(sum.waiting() + other.waiting());
    sum.set_watchers(sum.watchers() + other.watchers());
    backlog = std::max(backlog, FromProto(other.backlog()));
  }
  text.Line(absl::StrCat(sum.running(), " running, ", sum.waiting(), " due and not taken, ", sum.watchers(),
                         " watchers; backlog ", absl::FormatDuration(backlog)));
}

// Adds the attempts that failed, and the delivery that is out. They are left out of an alarm that has come meanwhile,
// and where the caller may not read the object or the server can't.
absl::Status Describe(ListedAlarm* alarm, Session& session) {
  v1::DescribeObjectRequest request;
  *request.mutable_object() = alarm->object();
  const auto reply = session.client().Call(CallKind::kIdempotent, &ObjectService::Stub::DescribeObject, request);
  // Without a server the other objects would not be described either.
  if (IsRetryable(reply.status())) return reply.status();
  if (!reply.ok()) return absl::OkStatus();
  if (reply->has_alarm_delivery()) {
    alarm->set_retry_count(reply->alarm_delivery().retry_count());
    *alarm->mutable_lease_expire_time() = reply->alarm_delivery().lease_expire_time();
  } else if (reply->has_alarm()) {
    alarm->set_retry_count(reply->alarm().retry_count());
  }
  return absl::OkStatus();
}

std::string StateText(const ListedAlarm& alarm) {
  if (alarm.has_lease_expire_time()) return "out";
  if (!alarm.has_late()) return "set";
  const absl::Duration late = FromProto(alarm.late());
  return absl::StrCat("late ", absl::FormatDuration(absl::Trunc(
                                   late, late < absl::Seconds(1) ? absl::Milliseconds(1) : absl::Seconds(1))));
}

void Print(const std::vector<ListedAlarm>& alarms, bool described, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const ListedAlarm& alarm : alarms) {
    std::vector<std::string> cells = {TableTime(alarm.due_time()), StateText(alarm)};
    if (described) cells.push_back(alarm.has_retry_count() ? absl::StrCat(alarm.retry_count()) : "?");
    for (const std::string& part :
         {alarm.object().namespace_(), alarm.object().object_class(), alarm.object().name()}) {
      cells.push_back(part);
    }
    rows.push_back(std::move(cells));
  }
  std::vector<std::string> header = {"NEXT ATTEMPT", "STATE", "NAMESPACE", "CLASS", "NAME"};
  if (described) header.insert(header.begin() + 2, "RETRIES");
  text.Table(header, rows);
}

// Prints a page. `now` is the server's. Returns the exit status.
int ShowPage(const v1::ListAlarmsResponse& page, bool describe, absl::Time now, Session& session) {
  std::vector<ListedAlarm> alarms;
  for (const v1::AlarmSummary& summary : page.alarms()) {
    ListedAlarm& alarm = alarms.emplace_back();
    *alarm.mutable_object() = summary.object();
    *alarm.mutable_due_time() = summary.due_time();
    if (const absl::Time due = FromProto(summary.due_time()); due < now) *alarm.mutable_late() = ToProto(now - due);
    if (describe) {
      if (const absl::Status status = Describe(&alarm, session); !status.ok()) {
        return session.Failed(CallKind::kIdempotent, status);
      }
    }
    if (!session.globals().json) continue;
    if (const int status = session.PrintJson(alarm); status != kExitOk) return status;
  }
  if (!session.globals().json) Print(alarms, describe, session.text());
  return kExitOk;
}

int RunAlarms(AlarmList& list, Session& session) {
  while (true) {
    const auto status =
        session.client().Call(CallKind::kIdempotent, &AdminService::Stub::GetStatus, v1::GetStatusRequest());
    if (!status.ok()) return session.Failed(CallKind::kIdempotent, status.status());
    const auto page = session.client().Call(CallKind::kIdempotent, &AdminService::Stub::ListAlarms, list.request);
    if (!page.ok()) return session.Failed(CallKind::kIdempotent, page.status());
    const bool first = list.request.page_token().empty();
    if (first && !session.globals().json) {
      PrintNumbers(*status, session.text());
      if (page->alarms().empty()) session.text().Line("no alarm is set");
    }
    const absl::Time now = FromProto(status->start_time()) + FromProto(status->uptime());
    if (const int failed = ShowPage(*page, list.describe, now, session); failed != kExitOk) return failed;
    const std::string& token = page->next_page_token();
    if (token.empty()) return kExitOk;
    if (!list.pages.all) {
      session.NotePageToken(token);
      return kExitOk;
    }
    if (token == list.request.page_token()) {
      return session.Failed(CallKind::kIdempotent,
                            absl::InternalError("the server answered a page with the token of that page"));
    }
    // No more pages are read if the output is gone.
    if (!session.Flush()) return kExitFailed;
    list.request.set_page_token(token);
  }
}

CommandBody DeclareAlarms(Arguments& arguments) {
  auto list = std::make_shared<AlarmList>();
  arguments.TakesNoRequestId();
  arguments.PrintsJson<ListedAlarm>();
  arguments.Flag("--describe", "Also the attempts that failed, and whether a watcher has the alarm: a call for each",
                 [list] { list->describe = true; });
  DeclarePages(arguments, list->request, list->pages);
  arguments.Notes(
      "The first ones are those that are late. While a watcher has an alarm, its next attempt is at the end of the "
      "lease. Needs the right to administer the server; --describe the right to read, too.");
  return [list](Session& session) { return RunAlarms(*list, session); };
}

}  // namespace

void AddAlarmListCommand(CommandGroup& root) {
  root.Command("alarms", "List the alarms of all objects, the late ones first, and say how many watch", DeclareAlarms);
}

}  // namespace holdfast::client
