#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

template <class Request>
void DeclareObject(Arguments& arguments, Request& request) {
  arguments.ObjectName(request.mutable_object());
  arguments.Text("--class", "CLASS", "Counter, RateLimiter, BatchProcessor, UserCache or Object; default Object",
                 [&request](const std::string& name) { request.mutable_object()->set_object_class(name); });
}

}  // namespace

void AddObjectCommands(CommandGroup& root) {
  CommandGroup object = root.Group("object", "What objects of any class have in common");
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
}

}  // namespace holdfast::client
