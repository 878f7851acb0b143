#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

std::string CreateTime(const v1::ObjectSummary& object) {
  return object.has_create_time() ? TimeText(object.create_time()) : "";
}

std::string UpdateTime(const v1::ObjectSummary& object) {
  return object.has_update_time() ? TimeText(object.update_time()) : "";
}

// "own column family" for PLACEMENT_OWN_COLUMN_FAMILY; the number where a newer server has more of them.
std::string EnumText(const std::string& name, absl::string_view prefix, int number) {
  if (name.empty()) return absl::StrCat(number);
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(name, prefix)), {{"_", " "}});
}

void PrintObjects(const v1::ListObjectsRequest&, const v1::ListObjectsResponse& response, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::ObjectSummary& object : response.objects()) {
    rows.push_back({object.object().object_class(), absl::StrCat(object.size_bytes()), CreateTime(object),
                    UpdateTime(object), object.object().name()});
  }
  text.Table({"CLASS", "BYTES", "CREATED", "UPDATED", "NAME"}, rows);
}

void PrintDescription(const v1::DescribeObjectRequest&, const v1::DescribeObjectResponse& response, TextOutput& text) {
  const v1::ObjectSummary& summary = response.summary();
  text.Fields({{"name", summary.object().name()},
               {"class", summary.object().object_class()},
               {"created", CreateTime(summary)},
               {"updated", UpdateTime(summary)},
               {"bytes", absl::StrCat(summary.size_bytes())},
               {"keys", absl::StrCat(response.key_count())},
               {"alarm", response.has_alarm_time() ? TimeText(response.alarm_time()) : ""},
               {"in memory", EnumText(v1::ActivationState_Name(response.activation_state()), "ACTIVATION_STATE_",
                                      response.activation_state())},
               {"waiting", absl::StrCat(response.mailbox_depth())},
               {"on disk", EnumText(v1::Placement_Name(response.placement()), "PLACEMENT_", response.placement())},
               {"shard", absl::StrCat(response.shard())},
               {"schema version", absl::StrCat(response.schema_version())}});
  std::vector<std::vector<std::string>> rows;
  for (const v1::TableDescription& table : response.tables()) {
    rows.push_back({table.name(), absl::StrCat(table.row_count()), table.sql()});
  }
  text.Table({"TABLE", "ROWS", "SQL"}, rows);
}

}  // namespace

void AddObjectCommands(CommandGroup& root) {
  CommandGroup object =
      root.Group("object", "Keys and alarms of objects, and what objects of any class have in common");
  AddEntryCommands(object);
  AddAlarmCommands(object);
  object.Add(Unary<&ObjectService::Stub::DeleteAll>{
      .name = "delete-all",
      .help = "Remove everything that an object stores, and its alarm",
      .arguments =
          [](Arguments& arguments, auto& request) {
            DeclareObject(arguments, request);
            arguments.Flag("--keep-alarm", "Leave the alarm, which then fires on the emptied object",
                           [&request] { request.set_keep_alarm(true); });
          },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("deleted"); },
  });
  object.Add(Unary<&ObjectService::Stub::Cleanup>{
      .name = "cleanup",
      .help = "Remove an object's alarm and everything that it stores, in one commit",
      .arguments = [](Arguments& arguments, auto& request) { DeclareObject(arguments, request); },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("cleaned up"); },
  });
  object.Add(Unary<&ObjectService::Stub::ListObjects>{
      .name = "objects",
      .help = "List the objects of the namespace, in order of class and name",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.Text("--class", "CLASS", "Only objects of this class",
                           [&request](const std::string& name) { request.set_object_class(name); });
            arguments.Text("--prefix", "TEXT", "Only objects whose names begin with this",
                           [&request](const std::string& prefix) { request.set_name_prefix(prefix); });
          },
      .print = PrintObjects,
  });
  object.Add(Unary<&ObjectService::Stub::DescribeObject>{
      .name = "describe",
      .help = "Print what the server knows of an object",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { DeclareObject(arguments, request); },
      .print = PrintDescription,
  });
  object.Add(Unary<&ObjectService::Stub::PassivateObject>{
      .name = "passivate",
      .help = "Unload an object from memory; nothing that is stored changes",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { DeclareObject(arguments, request); },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("passivated"); },
  });
}

}  // namespace holdfast::client
