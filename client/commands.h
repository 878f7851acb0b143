// The commands of the tool, a file for each service: commands_counter.cc and so on.

#ifndef HOLDFAST_CLIENT_COMMANDS_H_
#define HOLDFAST_CLIENT_COMMANDS_H_

#include "client/command.h"

namespace holdfast::client {

void AddCounterCommands(CommandGroup& root);
void AddLimitCommands(CommandGroup& root);
void AddBatchCommands(CommandGroup& root);
void AddUserCommands(CommandGroup& root);
void AddObjectCommands(CommandGroup& root);
void AddSqlCommand(CommandGroup& root);
void AddHealthCommand(CommandGroup& root);

// Into the group "object".
void AddEntryCommands(CommandGroup& object);
void AddAlarmCommands(CommandGroup& object);

// The object that a command is for, of any class.
template <class Request>
void DeclareObject(Arguments& arguments, Request& request) {
  arguments.ObjectName(request.mutable_object());
  arguments.Text("--class", "CLASS", "Counter, RateLimiter, BatchProcessor, UserCache or Object; default Object",
                 [&request](const std::string& name) { request.mutable_object()->set_object_class(name); });
}

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_COMMANDS_H_
