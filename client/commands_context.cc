#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "client/contexts.h"

namespace holdfast::client {
namespace {

using config::v1::ClientConfig;
using config::v1::ClientContext;

// Runs `change` on what the file holds, and writes it back if that is OK.
int ChangeContexts(Session& session, absl::FunctionRef<absl::Status(ClientConfig&)> change, const std::string& done) {
  const std::string file = ContextFilePath();
  absl::StatusOr<ClientConfig> config = ReadContexts(file);
  if (!config.ok()) return session.BadUsage(config.status());
  if (absl::Status status = change(*config); !status.ok()) return session.BadUsage(status);
  if (absl::Status status = WriteContexts(file, *config); !status.ok()) return session.BadUsage(status);
  session.Note(absl::StrCat(done, " (", file, ")"));
  return kExitOk;
}

// Makes the paths of the command line absolute, since they are stored for other working directories.
absl::Status Absolute(ClientContext& settings) {
  for (std::string* const path : {settings.has_tls_ca() ? settings.mutable_tls_ca() : nullptr,
                                  settings.has_tls_cert() ? settings.mutable_tls_cert() : nullptr,
                                  settings.has_tls_key() ? settings.mutable_tls_key() : nullptr,
                                  settings.has_token_file() ? settings.mutable_token_file() : nullptr}) {
    if (path == nullptr) continue;
    std::error_code error;
    *path = std::filesystem::absolute(*path, error).string();
    if (error) return absl::InvalidArgumentError(error.message());
  }
  return absl::OkStatus();
}

int SetContext(const std::string& name, Session& session) {
  ClientContext given = session.globals().given;
  if (absl::Status status = Absolute(given); !status.ok()) return session.BadUsage(status);
  return ChangeContexts(
      session,
      [&](ClientConfig& config) {
        const absl::StatusOr<ClientContext*> found = FindContext(config, name);
        ClientContext& context = found.ok() ? **found : *config.add_context();
        context.MergeFrom(given);
        context.set_name(name);
        return absl::OkStatus();
      },
      absl::StrCat("context ", name, " is set"));
}

int UseContext(const std::string& name, Session& session) {
  return ChangeContexts(
      session,
      [&](ClientConfig& config) {
        if (const auto found = FindContext(config, name); !found.ok()) return found.status();
        config.set_current_context(name);
        return absl::OkStatus();
      },
      absl::StrCat("context ", name, " is current"));
}

int DeleteContext(const std::string& name, Session& session) {
  return ChangeContexts(
      session,
      [&](ClientConfig& config) {
        if (const auto found = FindContext(config, name); !found.ok()) return found.status();
        if (config.current_context() == name) config.clear_current_context();
        auto& contexts = *config.mutable_context();
        contexts.erase(std::remove_if(contexts.begin(), contexts.end(),
                                      [&](const ClientContext& context) { return context.name() == name; }),
                       contexts.end());
        return absl::OkStatus();
      },
      absl::StrCat("context ", name, " is deleted"));
}

int ListContexts(Session& session) {
  const absl::StatusOr<ClientConfig> config = ReadContexts(ContextFilePath());
  if (!config.ok()) return session.BadUsage(config.status());
  std::vector<std::vector<std::string>> rows;
  for (const ClientContext& context : config->context()) {
    if (session.globals().json) {
      if (const int status = session.PrintJson(context); status != kExitOk) return status;
    }
    rows.push_back({context.name() == config->current_context() ? "*" : "", context.name(), context.server(),
                    context.namespace_()});
  }
  if (!session.globals().json) session.text().Table({"CURRENT", "NAME", "SERVER", "NAMESPACE"}, rows);
  return kExitOk;
}

// Shows the context of this name; empty: the current one.
int ShowContext(std::string name, Session& session) {
  absl::StatusOr<ClientConfig> config = ReadContexts(ContextFilePath());
  if (!config.ok()) return session.BadUsage(config.status());
  if (name.empty()) name = config->current_context();
  if (name.empty()) return session.BadUsage(absl::InvalidArgumentError("no context is current"));
  const absl::StatusOr<ClientContext*> found = FindContext(*config, name);
  if (!found.ok()) return session.BadUsage(found.status());
  const ClientContext& context = **found;
  if (session.globals().json) return session.PrintJson(context);
  session.text().Fields({{"name", context.name()},
                         {"server", context.server()},
                         {"namespace", context.namespace_()},
                         {"tls", !context.has_tls() ? ""
                                 : context.tls()    ? "true"
                                                    : "false"},
                         {"tls ca", context.tls_ca()},
                         {"tls cert", context.tls_cert()},
                         {"tls key", context.tls_key()},
                         {"tls server name", context.tls_server_name()},
                         {"token file", context.token_file()}});
  return kExitOk;
}

// Adds a command for the context that NAME names. With `json` it prints contexts.
void AddNamed(CommandGroup& group, const std::string& name, const std::string& help, bool required, bool json,
              const std::string& notes, int (*run)(const std::string&, Session&)) {
  group.OfflineCommand(name, help, [&](Arguments& arguments) -> CommandBody {
    auto context = std::make_shared<std::string>();
    CLI::Option* const option = arguments.Value("NAME", "", "Name of the context", [context](const std::string& text) {
      *context = text;
      return CheckContextName(text);
    });
    arguments.Takes(option, {.kind = ValueNote::Kind::kContext});
    if (json) arguments.PrintsJson<ClientContext>();
    if (required) option->required();
    if (!notes.empty()) arguments.Notes(notes);
    return [context, run](Session& session) { return run(*context, session); };
  });
}

}  // namespace

void AddContextCommands(CommandGroup& root) {
  CommandGroup group = root.Group("context", "Servers under names: where to connect, and as whom");
  group.OfflineCommand("list", "List the contexts; * marks the current one", [](Arguments& arguments) -> CommandBody {
    arguments.PrintsJson<ClientContext>();
    return [](Session& session) { return ListContexts(session); };
  });
  AddNamed(group, "show", "Show a context; without NAME the current one", false, true, "",
           [](const std::string& name, Session& session) { return ShowContext(name, session); });
  AddNamed(group, "set", "Make a context, or change one", true, false,
           "The context gets the connection options that are given: --server, --namespace, --tls, --tls-ca, "
           "--tls-cert, --tls-key, --tls-server-name, --token-file. Others stay as they are.",
           SetContext);
  AddNamed(group, "use", "Make a context the current one", true, false, "", UseContext);
  AddNamed(group, "delete", "Delete a context; the files that it names stay", true, false, "", DeleteContext);
}

}  // namespace holdfast::client
