#include "client/settings.h"

#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/contexts.h"
#include "client/environment.h"
#include "proto/utf8.h"

namespace holdfast::client {
namespace {

using config::v1::ClientContext;
using Setter = void (*)(ClientContext&, const std::string&);

// A setting that is a text.
struct TextSetting {
  const char* option;
  const char* variable;
  const char* type;
  const char* help;
  Setter set;
  bool is_path = false;
  const std::string& (ClientContext::*get)() const = nullptr;
};

constexpr TextSetting kTextSettings[] = {
    {"--server", "HOLDFAST_SERVER", "ADDRESS", "Server to call, HOST:PORT; default 127.0.0.1:50051",
     [](ClientContext& settings, const std::string& text) { settings.set_server(text); }},
    {"--namespace", "HOLDFAST_NAMESPACE", "NS", "Namespace of the objects; default \"default\"",
     [](ClientContext& settings, const std::string& text) { settings.set_namespace_(text); }},
    {"--tls-ca", "HOLDFAST_TLS_CA", "FILE", "Authorities that may sign the server's certificate, PEM; implies --tls",
     [](ClientContext& settings, const std::string& text) { settings.set_tls_ca(text); }, true, &ClientContext::tls_ca},
    {"--tls-cert", "HOLDFAST_TLS_CERT", "FILE", "Certificate of this client, PEM; implies --tls",
     [](ClientContext& settings, const std::string& text) { settings.set_tls_cert(text); }, true,
     &ClientContext::tls_cert},
    {"--tls-key", "HOLDFAST_TLS_KEY", "FILE", "Key of that certificate, PEM",
     [](ClientContext& settings, const std::string& text) { settings.set_tls_key(text); }, true,
     &ClientContext::tls_key},
    {"--tls-server-name", "HOLDFAST_TLS_SERVER_NAME", "NAME",
     "Name that the server's certificate must have; default the host of --server; implies --tls",
     [](ClientContext& settings, const std::string& text) { settings.set_tls_server_name(text); }},
    {"--token-file", "HOLDFAST_TOKEN_FILE", "FILE",
     "File with the bearer token of each call. Without TLS it is sent to this machine only",
     [](ClientContext& settings, const std::string& text) { settings.set_token_file(text); }, true,
     &ClientContext::token_file},
};

// Sets a setting to a text of the command line or of the environment.
absl::Status Set(const TextSetting& setting, const std::string& text, ClientContext& settings) {
  // The words of the command line are known to be UTF-8, the environment is not.
  if (!IsUtf8(text)) return absl::InvalidArgumentError("is not UTF-8");
  if (absl::string_view(setting.option) == "--server") {
    if (const absl::StatusOr<std::string> address = ParseAddress(text); !address.ok()) return address.status();
  } else if (text.empty() && absl::string_view(setting.option) != "--namespace") {
    return absl::InvalidArgumentError("is empty");
  }
  setting.set(settings, text);
  return absl::OkStatus();
}

absl::StatusOr<ClientContext> EnvironmentSettings() {
  ClientContext settings;
  for (const TextSetting& setting : kTextSettings) {
    const std::string text = Variable(setting.variable);
    if (text.empty()) continue;
    if (absl::Status status = Set(setting, text, settings); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(setting.variable, ": ", status.message()));
    }
  }
  if (const std::string text = Variable("HOLDFAST_TLS"); !text.empty()) {
    bool value = false;
    if (!absl::SimpleAtob(text, &value)) return absl::InvalidArgumentError("HOLDFAST_TLS: must be true or false");
    settings.set_tls(value);
  }
  return settings;
}

// Returns a context with paths that begin at the root or the working directory.
ClientContext Anchored(ClientContext context, const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  for (const TextSetting& setting : kTextSettings) {
    if (!setting.is_path || (context.*setting.get)().empty()) continue;
    setting.set(context, (folder / (context.*setting.get)()).string());  // an absolute path takes the folder's place
  }
  return context;
}

}  // namespace

void DeclareConnection(Arguments& arguments, GlobalOptions& globals) {
  for (const TextSetting& setting : kTextSettings) {
    if (absl::string_view(setting.option) == "--tls-ca") {
      arguments.Flag("--tls", "Encrypt, with the authorities of the system unless --tls-ca names others",
                     [&globals] { globals.given.set_tls(true); });
    }
    arguments.Value(setting.option, setting.type, setting.help,
                    [&globals, &setting](const std::string& text) { return Set(setting, text, globals.given); });
  }
  arguments.Takes(
      arguments.Value("--context", "NAME", "Context to take the settings above from; see: holdfast context --help",
                      [&globals](const std::string& name) {
                        globals.context = name;
                        return CheckContextName(name);
                      }),
      {.kind = ValueNote::Kind::kContext});
}

absl::Status ResolveConnection(GlobalOptions& globals) {
  const std::string file = ContextFilePath();
  absl::StatusOr<config::v1::ClientConfig> config = ReadContexts(file);
  if (!config.ok()) return config.status();
  const absl::StatusOr<ClientContext> environment = EnvironmentSettings();
  if (!environment.ok()) return environment.status();

  std::string name = globals.context;
  if (name.empty()) name = Variable("HOLDFAST_CONTEXT");
  if (name.empty()) name = config->current_context();
  ClientContext context;
  if (!name.empty()) {
    const absl::StatusOr<ClientContext*> found = FindContext(*config, name);
    if (!found.ok()) return found.status();
    context = Anchored(**found, file);
  }
  ClientContext settings = globals.context.empty() ? context : *environment;
  settings.MergeFrom(globals.context.empty() ? *environment : context);
  settings.MergeFrom(globals.given);

  if (settings.has_server()) globals.server = settings.server();
  globals.ns = settings.namespace_();
  globals.tls = TlsOf(settings);
  globals.token_file = settings.token_file();
  return absl::OkStatus();
}

std::optional<TlsOptions> TlsOf(const ClientContext& settings) {
  const bool implied = !settings.tls_ca().empty() || !settings.tls_cert().empty() || !settings.tls_key().empty() ||
                       !settings.tls_server_name().empty();
  if (settings.has_tls() ? !settings.tls() : !implied) return std::nullopt;
  return TlsOptions{settings.tls_ca(), settings.tls_cert(), settings.tls_key(), settings.tls_server_name()};
}

}  // namespace holdfast::client
