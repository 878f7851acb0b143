// The commands of the tool, and the one way in which all of them call the server and print.
//
// A command that is one unary call is a table row, Unary<method>: its arguments write into the request, and a function
// prints the reply for people. JSON, errors, exit statuses, the namespace and pages are the same for all commands and
// are handled here. Everything here is single-threaded.

#ifndef HOLDFAST_CLIENT_COMMAND_H_
#define HOLDFAST_CLIENT_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/arguments.h"
#include "client/client.h"
#include "client/output.h"
#include "client/request_id.h"
#include "client/terminal.h"

namespace holdfast::client {

// Exit statuses of the tool.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDenied = 3;

// The input that a command may read.
struct Input {
  std::istream& stream;
  bool is_terminal = false;
};

// The world that a command sees beside its streams. Tests give it a clock of their own.
struct Surroundings {
  Terminal terminal;
  std::function<absl::Time()> now = absl::Now;
  // The time between two looks of a command that looks again and again.
  std::function<void(absl::Duration)> sleep = absl::SleepFor;
};

// The run of one command. The streams must outlive it.
class Session {
 public:
  Session(GlobalOptions globals, Input in, Surroundings surroundings, std::ostream& out, std::ostream& err);

  const GlobalOptions& globals() const { return globals_; }
  const Input& in() const { return in_; }
  const Terminal& terminal() const { return surroundings_.terminal; }
  absl::Time Now() const { return surroundings_.now(); }
  void Sleep(absl::Duration time) const { surroundings_.sleep(time); }
  Client& client() { return client_; }
  // Returns the options of client(), for another one.
  ClientOptions client_options() const;
  TextOutput& text() { return text_; }

  // Prints one line of JSON on the output. Returns the exit status.
  int PrintJson(const google::protobuf::Message& message);
  // Shows how far a command is, in place of what this showed before; empty: takes it away. It is shown at a terminal
  // only, on the standard error.
  void Progress(const std::string& text);
  // Prints a remark that is not part of a reply, if the output is for people.
  void Note(const std::string& text);
  // Prints a line on the standard error as it is, if the output is for people.
  void Remark(const std::string& text);
  // Tells how to go on with a listing that has not ended: a remark, or {"next_page_token":...} on the standard error.
  void NotePageToken(const std::string& token);
  // Asks a person at the terminal. Returns true for y and yes, in any case of letters; any other answer, and the end of
  // the input, is no. Call it only if in().is_terminal.
  bool Confirm(const std::string& question);
  // Writes everything that is printed so far at once. Returns whether it could be written.
  bool Flush() { return out_.flush().good(); }
  // These report an error and return the exit status. `request_id` is that of the failed mutation, if it had one.
  int Failed(CallKind kind, const absl::Status& failure, absl::string_view request_id = "");
  int BadUsage(const absl::Status& error);

 private:
  // Returns the error with a sentence on TLS, if that is what failed.
  absl::Status Explained(const absl::Status& error) const;
  // Begins a line of the standard error with the name of the tool.
  std::ostream& Err();

  const GlobalOptions globals_;
  const Input in_;
  const Surroundings surroundings_;
  std::ostream& out_;
  std::ostream& err_;
  Client client_;
  TextOutput text_;
};

// Runs a command that has been parsed; returns the exit status.
using CommandBody = std::function<int(Session&)>;

// The command that the command line asks for.
struct SelectedCommand {
  CommandBody body;
  bool offline = false;
};

// The state that all commands share while they are declared and parsed.
struct CommandLine {
  explicit CommandLine(std::istream* in) : input(in) {}

  SelectedCommand selected;
  StandardInput input;
  CommandNotes notes;
};

template <class Method>
struct MethodTraits;
template <class S, class Req, class Resp>
struct MethodTraits<grpc::Status (S::*)(grpc::ClientContext*, const Req&, Resp*)> {
  using Request = Req;
  using Response = Resp;
};

// A command that is one call of a unary method of a stub, or one for each page of a listing.
template <auto kMethod>
struct Unary {
  using Request = typename MethodTraits<decltype(kMethod)>::Request;
  using Response = typename MethodTraits<decltype(kMethod)>::Response;

  std::string name;
  std::string help;
  CallKind kind = CallKind::kMutation;
  // Declares the arguments. The request lives until the command has run.
  std::function<void(Arguments&, Request&)> arguments = {};
  std::function<void(const Request&, const Response&, TextOutput&)> print = {};
  // Runs before the call; if it returns an exit status, the command ends without the call.
  std::function<std::optional<int>(Session&, const Request&)> before = {};
  // Runs after the call, before the reply is printed; an error makes the command fail in place of the reply.
  std::function<absl::Status(Session&, const Request&, const Response&)> after = {};
  // Returns the exit status for a reply; if it is absent, the status is 0.
  std::function<int(const Response&)> exit_status = {};
};

// The requests of methods whose replies come in pages. Their commands get --page-size, --page-token and --all.
template <class Request>
concept PagedRequest = requires(Request request) { request.mutable_page_token(); };

// Returns the items of a page, each of which is a line of JSON.
template <class Response>
const auto& ListedItems(const Response& response) {
  if constexpr (requires { response.entries(); }) {
    return response.entries();
  } else if constexpr (requires { response.items(); }) {
    return response.items();
  } else if constexpr (requires { response.users(); }) {
    return response.users();
  } else if constexpr (requires { response.namespaces(); }) {
    return response.namespaces();
  } else {
    return response.objects();
  }
}

// A group in which commands are registered. It owns nothing: the constructor's pointers must outlive it.
class CommandGroup {
 public:
  // Parsing the command line sets `line->selected` to the command that it asks for.
  CommandGroup(CLI::App* app, CommandLine* line, std::string implied_class = "")
      : app_(app), line_(line), implied_class_(std::move(implied_class)) {}

  // Adds a group below this one. `implied_class` is the class of all objects that its commands are for; empty: any.
  CommandGroup Group(const std::string& name, const std::string& help, const std::string& implied_class = "");
  // The same group for commands whose objects are all of this class.
  CommandGroup OfClass(const std::string& implied_class) const { return CommandGroup(app_, line_, implied_class); }
  // Adds a command. `declare` is called once, at once; it declares the arguments and returns the body, which runs after
  // they are parsed.
  void Command(const std::string& name, const std::string& help, absl::FunctionRef<CommandBody(Arguments&)> declare);
  // The same for a command that talks to no server: it works even if the settings of the connection are wrong.
  void OfflineCommand(const std::string& name, const std::string& help,
                      absl::FunctionRef<CommandBody(Arguments&)> declare);
  template <auto kMethod>
  void Add(Unary<kMethod> unary);

 private:
  void Register(const std::string& name, const std::string& help, bool offline,
                absl::FunctionRef<CommandBody(Arguments&)> declare);

  CLI::App* app_;
  CommandLine* line_;
  std::string implied_class_;
};

// Implementation.

struct PageOptions {
  bool all = false;
};

template <PagedRequest Request>
void DeclarePages(Arguments& arguments, Request& request, PageOptions& pages) {
  arguments.Number<int32_t>(
      "--page-size", "At most so many a page; 0, the default, is the server's 100",
      [&request](int32_t n) { request.set_page_size(n); }, 0);
  arguments.Text("--page-token", "TOKEN", "Go on where an earlier page ended",
                 [&request](const std::string& token) { request.set_page_token(token); });
  arguments.Flag("--all", "All pages, one after the other", [&pages] { pages.all = true; });
}

// Sets the namespace of the command line in a message with an `object` or a namespace of its own.
template <class Request>
void SetNamespace(const GlobalOptions& globals, Request& request) {
  if constexpr (requires { request.mutable_object()->set_namespace_(globals.ns); }) {
    request.mutable_object()->set_namespace_(globals.ns);
  } else if constexpr (requires { request.set_namespace_(globals.ns); }) {
    request.set_namespace_(globals.ns);
  }
}

template <auto kMethod>
int RunUnary(const Unary<kMethod>& unary, const PageOptions& pages, Session& session,
             typename Unary<kMethod>::Request& request) {
  using Response = typename Unary<kMethod>::Response;
  CallKind kind = unary.kind;
  if constexpr (requires { request.peek(); }) {
    if (request.peek()) kind = CallKind::kIdempotent;
  }
  std::string request_id = session.globals().request_id;
  if constexpr (TakesRequestIds<typename Unary<kMethod>::Request>) {
    if (kind == CallKind::kMutation) {
      // The id is made here and not by the client, so that the error can show it.
      if (request_id.empty()) request_id = NewRequestId();
      SetRequestIds(request, request_id);
    }
  }
  if (kind == CallKind::kIdempotent && !request_id.empty()) {
    return session.BadUsage(absl::InvalidArgumentError("this command takes no --request-id"));
  }
  if (unary.before) {
    if (const std::optional<int> ended = unary.before(session, request)) return *ended;
  }
  while (true) {
    const absl::StatusOr<Response> response = session.client().Call(kind, kMethod, request);
    if (!response.ok()) return session.Failed(kind, response.status(), request_id);
    if (unary.after) {
      if (const absl::Status usable = unary.after(session, request, *response); !usable.ok()) {
        return session.Failed(CallKind::kIdempotent, usable);
      }
    }
    if (!session.globals().json) unary.print(request, *response, session.text());
    if constexpr (PagedRequest<std::decay_t<decltype(request)>>) {
      if (session.globals().json) {
        for (const auto& item : ListedItems(*response)) {
          if (const int status = session.PrintJson(item); status != kExitOk) return status;
        }
      }
      const std::string& token = response->next_page_token();
      if (token.empty()) return kExitOk;
      if (!pages.all) {
        session.NotePageToken(token);
        return kExitOk;
      }
      if (token == request.page_token()) {
        return session.Failed(kind, absl::InternalError("the server answered a page with the token of that page"));
      }
      // No more pages are read if the output is gone.
      if (!session.Flush()) return kExitFailed;
      request.set_page_token(token);
    } else {
      if (session.globals().json) {
        if (const int status = session.PrintJson(*response); status != kExitOk) return status;
      }
      return unary.exit_status ? unary.exit_status(*response) : kExitOk;
    }
  }
}

template <auto kMethod>
void CommandGroup::Add(Unary<kMethod> unary) {
  using Request = typename Unary<kMethod>::Request;
  Command(unary.name, unary.help, [&unary](Arguments& arguments) -> CommandBody {
    auto request = std::make_shared<Request>();
    auto pages = std::make_shared<PageOptions>();
    if (unary.arguments) unary.arguments(arguments, *request);
    if constexpr (PagedRequest<Request>) {
      DeclarePages(arguments, *request, *pages);
      using Items = std::decay_t<decltype(ListedItems(std::declval<typename Unary<kMethod>::Response>()))>;
      arguments.PrintsJson<typename Items::value_type>();
    } else {
      arguments.PrintsJson<typename Unary<kMethod>::Response>();
    }
    return [unary = std::move(unary), request, pages](Session& session) {
      SetNamespace(session.globals(), *request);
      return RunUnary(unary, *pages, session, *request);
    };
  });
}

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_COMMAND_H_
