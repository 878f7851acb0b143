#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::UserCacheService;

constexpr char kCache[] = "CACHE";

template <class Set>
void DeclareId(Arguments& arguments, Set set) {
  arguments.Text("ID", "", "Id of the user", set)->required();
}

std::string OptionalTime(bool present, const google::protobuf::Timestamp& time) {
  return present ? TimeText(time) : "";
}

void PrintUser(const v1::User& user, TextOutput& text) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"id", user.id()},
      {"name", user.name()},
      {"email", user.email()},
      {"etag", user.etag()},
      {"created", OptionalTime(user.has_create_time(), user.create_time())},
      {"updated", OptionalTime(user.has_update_time(), user.update_time())}};
  const auto& attributes = user.attributes().fields();
  for (const auto& [key, value] : std::map(attributes.begin(), attributes.end())) {
    fields.emplace_back("attribute " + key, ToJson(value).value_or("?"));
  }
  text.Fields(fields);
}

void PrintUsers(const google::protobuf::RepeatedPtrField<v1::User>& users, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::User& user : users) {
    rows.push_back({user.id(), user.name(), user.email(), user.has_update_time() ? TableTime(user.update_time()) : ""});
  }
  text.Table({"ID", "NAME", "EMAIL", "UPDATED"}, rows);
}

// Parses "city=\"Paris\"" or "age=42".
absl::Status ParseAttribute(const std::string& text, StandardInput* input, google::protobuf::Struct& attributes) {
  std::pair<std::string, std::string> pair = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (text.find('=') == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not of the form KEY=JSON"));
  }
  if (pair.second == "-") {
    absl::StatusOr<std::string> json = input->Text();
    if (!json.ok()) return json.status();
    pair.second = *std::move(json);
  }
  google::protobuf::Value value;
  if (!google::protobuf::util::JsonStringToMessage(pair.second, &value).ok() ||
      value.kind_case() == google::protobuf::Value::KIND_NOT_SET) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", pair.second, "' is not JSON; a text needs quotes: '", pair.first, "=\"", pair.second, "\"'"));
  }
  (*attributes.mutable_fields())[pair.first] = value;
  return absl::OkStatus();
}

void DeclareUpdate(Arguments& arguments, v1::UpdateUserRequest& request) {
  request.set_allow_missing(true);
  arguments.ObjectName(request.mutable_object(), kCache);
  v1::User& user = *request.mutable_user();
  DeclareId(arguments, [&user](const std::string& id) { user.set_id(id); });
  const CLI::Option* name =
      arguments.FreeText("--name", "NAME", "New name; - is the standard input", [&user](const std::string& name) {
        user.set_name(name);
        return absl::OkStatus();
      });
  const CLI::Option* email =
      arguments.FreeText("--email", "EMAIL", "New email; - is the standard input", [&user](const std::string& email) {
        user.set_email(email);
        return absl::OkStatus();
      });
  arguments.Values(
      "--attribute", "KEY=JSON",
      "Set an attribute, e.g. 'city=\"Paris\"' or age=42, or, with KEY=-, JSON from the standard input; any "
      "number of times",
      [&user, input = arguments.input()](const std::string& text) {
        return ParseAttribute(text, input, *user.mutable_attributes());
      });
  arguments.Values("--remove-attribute", "KEY", "Remove an attribute; any number of times",
                   [&request](const std::string& key) {
                     request.add_remove_attributes(key);
                     return absl::OkStatus();
                   });
  arguments.Value("--mask", "FIELDS",
                  "Replace just these of name,email,attributes, also by nothing. Without it the fields that are given "
                  "change, attributes key by key",
                  [&request](const std::string& mask) {
                    for (const absl::string_view path : absl::StrSplit(mask, ',', absl::SkipEmpty())) {
                      request.mutable_update_mask()->add_paths(std::string(path));
                    }
                    return request.has_update_mask() ? absl::OkStatus() : absl::InvalidArgumentError("names no field");
                  });
  arguments.Text("--etag", "ETAG", "Only if this is still the user's etag",
                 [&user](const std::string& etag) { user.set_etag(etag); });
  arguments.Flag("--must-exist", "Fail with NOT_FOUND instead of creating the user",
                 [&request] { request.set_allow_missing(false); });
  // Without a mask an empty field means no change, but `--name ""` is meant to clear the name.
  arguments.Finish([&request, name, email](const GlobalOptions&) {
    const bool empty =
        (name->count() > 0 && request.user().name().empty()) || (email->count() > 0 && request.user().email().empty());
    return empty && !request.has_update_mask()
               ? absl::InvalidArgumentError("to clear a name or an email, name it in --mask too")
               : absl::OkStatus();
  });
}

void PrintFound(const v1::BatchGetUsersRequest& request, const v1::BatchGetUsersResponse& response, TextOutput& text) {
  PrintUsers(response.users(), text);
  for (const std::string& id : request.ids()) {
    if (std::ranges::none_of(response.users(), [&id](const v1::User& user) { return user.id() == id; })) {
      text.Line(absl::StrCat("no user ", id));
    }
  }
}

}  // namespace

void AddUserCommands(CommandGroup& root) {
  CommandGroup user = root.Group("user", "Users in a cache", "UserCache");
  user.Add(Unary<&UserCacheService::Stub::GetUser>{
      .name = "get",
      .help = "Print a user",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object(), kCache);
            DeclareId(arguments, [&request](const std::string& id) { request.set_id(id); });
          },
      .print = [](const auto&, const auto& response, TextOutput& text) { PrintUser(response.user(), text); },
  });
  user.Add(Unary<&UserCacheService::Stub::UpdateUser>{
      .name = "update",
      .help = "Change a user, or create it; prints it as it is then",
      .arguments = DeclareUpdate,
      .print = [](const auto&, const auto& response, TextOutput& text) { PrintUser(response.user(), text); },
  });
  user.Add(Unary<&UserCacheService::Stub::DeleteUser>{
      .name = "delete",
      .help = "Delete a user",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object(), kCache);
            DeclareId(arguments, [&request](const std::string& id) { request.set_id(id); });
            arguments.Text("--etag", "ETAG", "Only if this is still the user's etag",
                           [&request](const std::string& etag) { request.set_etag(etag); });
            arguments.Flag("--allow-missing", "Succeed also where there is no such user",
                           [&request] { request.set_allow_missing(true); });
          },
      .print = [](const auto&, const auto&, TextOutput& text) { text.Line("deleted"); },
  });
  user.Add(Unary<&UserCacheService::Stub::BatchGetUsers>{
      .name = "batch-get",
      .help = "Print several users; succeeds also where some do not exist",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object(), kCache);
            arguments
                .Values("ID", "", "Ids of the users, 1 to 128",
                        [&request](const std::string& id) {
                          request.add_ids(id);
                          return absl::OkStatus();
                        })
                ->required();
          },
      .print = PrintFound,
  });
  user.Add(Unary<&UserCacheService::Stub::ListUsers>{
      .name = "list",
      .help = "List users in order of their ids",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object(), kCache); },
      .print = [](const auto&, const auto& response, TextOutput& text) { PrintUsers(response.users(), text); },
  });
}

}  // namespace holdfast::client
