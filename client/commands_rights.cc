// rights: what the caller may do, by the rules of the server.

#include "client/commands.h"

namespace holdfast::client {
namespace {

const char* YesNo(bool yes) { return yes ? "yes" : "no"; }

}  // namespace

void AddRightsCommand(CommandGroup& root) {
  root.Add(Unary<&v1::ObjectService::Stub::GetRights>{
      .name = "rights",
      .help = "Print what the caller may do with the objects of a class in the namespace, and with the server",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.TakesClass(
                arguments.Text("--class", "CLASS", "Objects of this class; default Object",
                               [&request](const std::string& name) { request.set_object_class(name); }));
          },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Fields({{"read", YesNo(response.read())},
                         {"write", YesNo(response.write())},
                         {"administer", YesNo(response.admin())},
                         {"administer the server", YesNo(response.admin_of_server())}});
          },
  });
}

}  // namespace holdfast::client
