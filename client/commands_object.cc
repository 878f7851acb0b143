#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/commands.h"
#include "client/status.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

std::string CreateTime(const v1::ObjectSummary& object) {
  return object.has_create_time() ? TimeText(object.create_time()) : "";
}

std::string UpdateTime(const v1::ObjectSummary& object) {
  return object.has_update_time() ? TimeText(object.update_time()) : "";
}

// Returns "own column family" for PLACEMENT_OWN_COLUMN_FAMILY; the number for a value that only a newer server has.
std::string EnumText(const std::string& name, absl::string_view prefix, int number) {
  if (name.empty()) return absl::StrCat(number);
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(name, prefix)), {{"_", " "}});
}

void PrintObjects(const v1::ListObjectsRequest&, const v1::ListObjectsResponse& response, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::ObjectSummary& object : response.objects()) {
    rows.push_back({object.object().object_class(), absl::StrCat(object.size_bytes()),
                    object.has_update_time() ? TableTime(object.update_time()) : "", object.object().name()});
  }
  text.Table({"CLASS", "BYTES", "UPDATED", "NAME"}, rows);
}

// Describes an alarm that waits after failed attempts; "" for any other.
std::string AlarmRetry(const v1::DescribeObjectResponse& response) {
  if (response.alarm().retry_count() == 0) return "";
  return absl::StrCat(response.alarm().retry_count(), ", due ", TimeText(response.alarm().due_time()));
}

// Describes the delivery that is out to a watcher; "" if there is none.
std::string Delivery(const v1::DescribeObjectResponse& response) {
  if (!response.has_alarm_delivery()) return "";
  const v1::AlarmDeliveryDescription& delivery = response.alarm_delivery();
  return absl::StrCat("retry ", delivery.retry_count(), ", lease until ", TimeText(delivery.lease_expire_time()));
}

// `sql_version` is the version of the SQL schema, empty if there is none.
void PrintDescription(const v1::DescribeObjectResponse& response, const std::string& sql_version, TextOutput& text) {
  const v1::ObjectSummary& summary = response.summary();
  // The version in the reply is that of the records of a class, of which class Object has none of its own.
  const std::string record_version =
      summary.object().object_class() == "Object" ? "" : absl::StrCat(response.schema_version());
  text.Fields({{"name", summary.object().name()},
               {"class", summary.object().object_class()},
               {"created", CreateTime(summary)},
               {"updated", UpdateTime(summary)},
               {"bytes", absl::StrCat(summary.size_bytes())},
               {"keys", absl::StrCat(response.key_count())},
               {"alarm", response.has_alarm_time() ? TimeText(response.alarm_time()) : ""},
               {"alarm retry", AlarmRetry(response)},
               {"delivery", Delivery(response)},
               {"in memory", EnumText(v1::ActivationState_Name(response.activation_state()), "ACTIVATION_STATE_",
                                      response.activation_state())},
               {"waiting", absl::StrCat(response.mailbox_depth())},
               {"on disk", EnumText(v1::Placement_Name(response.placement()), "PLACEMENT_", response.placement())},
               {"shard", absl::StrCat(response.shard())},
               {"record version", record_version},
               {"schema version", sql_version}});
  std::vector<std::vector<std::string>> rows;
  for (const v1::TableDescription& table : response.tables()) {
    rows.push_back({table.name(), absl::StrCat(table.row_count()), table.sql()});
  }
  text.Table({"TABLE", "ROWS", "SQL"}, rows);
}

// Returns the version that MigrateSchema has stored in the database (object_service.proto); empty if it has not run, or
// if the version cannot be read.
std::string SqlVersion(Session& session, const v1::ObjectId& object, const v1::DescribeObjectResponse& description) {
  if (std::ranges::none_of(description.tables(), [](const auto& table) { return table.name() == "_meta"; })) return "";
  v1::ExecuteSqlRequest request;
  *request.mutable_object() = object;
  request.add_statements()->set_sql("SELECT CAST(value AS TEXT) FROM _meta WHERE key = 'schema_version'");
  const auto reply = session.client().Call(CallKind::kIdempotent, &ObjectService::Stub::ExecuteSql, request);
  const bool found = reply.ok() && reply->results_size() == 1 && reply->results(0).rows_size() == 1 &&
                     reply->results(0).rows(0).values_size() == 1;
  return found ? reply->results(0).rows(0).values(0).text() : "";
}

// Returns the name with the class and namespace if they are given: "visits of class Counter in namespace shop".
std::string ObjectText(const v1::ObjectId& object) {
  return absl::StrCat(object.name(), object.object_class().empty() ? "" : " of class ", object.object_class(),
                      object.namespace_().empty() ? "" : " in namespace ", object.namespace_());
}

absl::Status NoSuchObject(const v1::ObjectId& object) {
  return NotFound(absl::StrCat("object ", ObjectText(object), " does not exist"));
}

// Runs before everything of an object is removed. It fails if the object does not exist, and asks for confirmation at a
// terminal. With a --request-id the call may repeat one that has removed the object, so it does not look whether the
// object exists: the server's answer counts.
template <class Request>
std::optional<int> BeforeRemoval(Session& session, const Request& request, bool yes) {
  if (session.globals().request_id.empty()) {
    v1::DescribeObjectRequest describe;
    *describe.mutable_object() = request.object();
    const auto described = session.client().Call(CallKind::kIdempotent, &ObjectService::Stub::DescribeObject, describe);
    if (described.ok() && !described->exists()) {
      return session.Failed(CallKind::kIdempotent, NoSuchObject(request.object()));
    }
    // An object that the server can't describe, e.g. because its database is damaged, can still be removed.
    if (!described.ok() && (ReasonOf(described.status()).empty() || IsRetryable(described.status()))) {
      return session.Failed(CallKind::kIdempotent, described.status());
    }
  }
  if (yes || !session.in().is_terminal) return std::nullopt;
  if (session.Confirm(absl::StrCat("delete everything of ", ObjectText(request.object()), "?"))) return std::nullopt;
  session.Note("nothing was done");
  return kExitFailed;
}

// Declares --yes, and makes BeforeRemoval the first thing that the command does.
template <auto kMethod>
Unary<kMethod> WithConfirmation(Unary<kMethod> unary) {
  auto yes = std::make_shared<bool>(false);
  unary.arguments = [yes, declare = std::move(unary.arguments)](Arguments& arguments, auto& request) {
    declare(arguments, request);
    arguments.Flag("--yes", "Do not ask first, as it is done where the standard input is a terminal",
                   [yes] { *yes = true; });
  };
  unary.before = [yes](Session& session, const auto& request) { return BeforeRemoval(session, request, *yes); };
  return unary;
}

Unary<&ObjectService::Stub::DescribeObject> Describe() {
  auto sql_version = std::make_shared<std::string>();
  return {
      .name = "describe",
      .help = "Print what the server knows of an object; fails (1) where there is no such object",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [sql_version](const auto&, const auto& response,
                             TextOutput& text) { PrintDescription(response, *sql_version, text); },
      .after =
          [sql_version](Session& session, const auto& request, const auto& response) {
            if (!response.exists()) return NoSuchObject(request.object());
            if (!session.globals().json) *sql_version = SqlVersion(session, request.object(), response);
            return absl::OkStatus();
          },
  };
}

}  // namespace

void AddObjectCommands(CommandGroup& root) {
  CommandGroup object =
      root.Group("object", "Keys and alarms of objects, and what objects of any class have in common");
  AddEntryCommands(object);
  AddAlarmCommands(object);
  object.Add(WithConfirmation(Unary<&ObjectService::Stub::DeleteAll>{
      .name = "delete-all",
      .help = "Remove everything that an object stores, and its alarm; fails (1) where there is no such object",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments.Flag("--keep-alarm", "Leave the alarm, which then fires on the emptied object",
                           [&request] { request.set_keep_alarm(true); });
          },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("deleted"); },
  }));
  object.Add(WithConfirmation(Unary<&ObjectService::Stub::Cleanup>{
      .name = "cleanup",
      .help = "Remove an object's alarm and everything that it stores, in one commit; fails (1) where there is no such "
              "object",
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("cleaned up"); },
  }));
  object.Add(Unary<&ObjectService::Stub::ListObjects>{
      .name = "objects",
      .help = "List the objects of the namespace, in order of class and name",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.TakesClass(
                arguments.Text("--class", "CLASS", "Only objects of this class",
                               [&request](const std::string& name) { request.set_object_class(name); }));
            arguments.Text("--prefix", "TEXT", "Only objects whose names begin with this",
                           [&request](const std::string& prefix) { request.set_name_prefix(prefix); });
          },
      .print = PrintObjects,
  });
  object.Add(Describe());
  object.Add(Unary<&ObjectService::Stub::PassivateObject>{
      .name = "passivate",
      .help = "Unload an object from memory; nothing that is stored changes",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("passivated"); },
  });
  AddObjectFileCommands(object);
}

}  // namespace holdfast::client
