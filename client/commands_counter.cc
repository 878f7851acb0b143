#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "client/status.h"

namespace holdfast::client {
namespace {

using v1::CounterService;

std::string ResultText(const v1::IncrementResult& result) {
  return result.has_error() ? "error: " + ErrorText(FromItemError(result.error()))
                            : absl::StrCat(result.response().value());
}

struct StreamArguments {
  std::vector<std::string> names;
  std::optional<int64_t> amount;
  int64_t count = 1;
};

// Sends the names in turn, `count` rounds, and prints the results as they come.
int RunStream(const StreamArguments& arguments, Session& session) {
  const auto names = static_cast<int64_t>(arguments.names.size());
  size_t width = 0;
  for (const std::string& name : arguments.names) width = std::max(width, TextWidth(name));

  int64_t sent = 0;
  const auto next = [&](v1::IncrementRequest* request) {
    if (sent / names == arguments.count) return false;
    request->mutable_object()->set_name(arguments.names[sent % names]);
    SetNamespace(session.globals(), *request);
    if (arguments.amount.has_value()) request->set_amount(*arguments.amount);
    ++sent;
    return true;
  };

  int64_t received = 0;
  int exit_status = kExitOk;
  const auto result = [&](const v1::IncrementResult& result) {
    if (result.has_error()) exit_status = kExitFailed;
    if (session.globals().json) return session.PrintJson(result) == kExitOk;
    session.text().Fields({{arguments.names[received++ % names], ResultText(result)}}, width);
    return true;
  };
  const absl::Status status = session.client().StreamIncrement(next, result);
  return status.ok() ? exit_status : session.Failed(CallKind::kMutation, status);
}

CommandBody DeclareStream(Arguments& arguments) {
  auto stream = std::make_shared<StreamArguments>();
  arguments.PrintsJson<v1::IncrementResult>();
  arguments.TakesNoRequestId();
  arguments.ImpliedClass();
  CLI::Option* const names = arguments.Values("NAME", "", "Names of the counters", [stream](const std::string& name) {
    stream->names.push_back(name);
    return absl::OkStatus();
  });
  arguments.NamesObject(names)->required();
  arguments.Number("--amount", "How much to add each time; default 1, may be negative",
                   [stream](int64_t amount) { stream->amount = amount; });
  arguments.Number(
      "--count", "How many rounds over all the names; default 1. The --timeout is for all of them together",
      [stream](int64_t count) { stream->count = count; }, 0, 1'000'000'000);
  return [stream](Session& session) { return RunStream(*stream, session); };
}

Unary<&CounterService::Stub::BatchIncrement> BatchIncrement() {
  auto amount = std::make_shared<std::optional<int64_t>>();
  return {
      .name = "batch-increment",
      .help = "Add to many counters in one call, each on its own; fails (1) if one does",
      .arguments =
          [amount](Arguments& arguments, auto& request) {
            arguments.ImpliedClass();
            CLI::Option* const names =
                arguments.Values("NAME", "", "Names of the counters, 1 to 1,000", [&request](const std::string& name) {
                  request.add_increments()->mutable_object()->set_name(name);
                  return absl::OkStatus();
                });
            arguments.NamesObject(names)->required();
            arguments.Number("--amount", "How much to add to each; default 1, may be negative",
                             [amount](int64_t value) { *amount = value; });
            arguments.Finish([&request, amount](const GlobalOptions& globals) {
              for (v1::IncrementRequest& increment : *request.mutable_increments()) {
                SetNamespace(globals, increment);
                if (amount->has_value()) increment.set_amount(**amount);
              }
              return absl::OkStatus();
            });
          },
      .print =
          [](const auto& request, const auto& response, TextOutput& text) {
            std::vector<std::pair<std::string, std::string>> lines;
            for (int i = 0; i < std::min(response.results_size(), request.increments_size()); ++i) {
              lines.emplace_back(request.increments(i).object().name(), ResultText(response.results(i)));
            }
            text.Fields(lines);
          },
      .exit_status =
          [](const auto& response) {
            return std::ranges::any_of(response.results(), [](const auto& result) { return result.has_error(); })
                       ? kExitFailed
                       : kExitOk;
          },
  };
}

}  // namespace

void AddCounterCommands(CommandGroup& root) {
  CommandGroup counter = root.Group("counter", "Counters and unique numbers", "Counter");
  counter.Add(Unary<&CounterService::Stub::Increment>{
      .name = "increment",
      .help = "Add to a counter; prints the value after",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments.Number("--amount", "How much to add; default 1, may be negative",
                             [&request](int64_t amount) { request.set_amount(amount); });
          },
      .print = [](const auto&, const auto& response, TextOutput& text) { text.Line(absl::StrCat(response.value())); },
  });
  counter.Add(Unary<&CounterService::Stub::GetValue>{
      .name = "get",
      .help = "Print the value of a counter",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [](const auto&, const auto& response, TextOutput& text) { text.Line(absl::StrCat(response.value())); },
  });
  counter.Add(Unary<&CounterService::Stub::GetUniqueNumber>{
      .name = "unique",
      .help = "Print the next number of a sequence that never repeats one, from 0",
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [](const auto&, const auto& response, TextOutput& text) { text.Line(absl::StrCat(response.number())); },
  });
  counter.Add(Unary<&CounterService::Stub::ResetCounter>{
      .name = "reset",
      .help = "Set a counter; prints the value before. Unique numbers go on as they are",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments.Number("--value", "What to set it to; default 0",
                             [&request](int64_t value) { request.set_value(value); });
          },
      .print = [](const auto&, const auto& response,
                  TextOutput& text) { text.Line(absl::StrCat("previous value  ", response.previous_value())); },
  });
  counter.Add(BatchIncrement());
  counter.Command("stream",
                  "Add to counters over one stream, pipelined; prints the results in order, fails (1) if one does",
                  DeclareStream);
}

}  // namespace holdfast::client
