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
void AddAdminCommands(CommandGroup& root);
void AddAlarmListCommand(CommandGroup& root);
void AddRightsCommand(CommandGroup& root);
void AddHealthCommand(CommandGroup& root);
void AddContextCommands(CommandGroup& root);
void AddTokenCommands(CommandGroup& root);
void AddWatchCommands(CommandGroup& root);
void AddBenchCommand(CommandGroup& root);
void AddCompletionCommands(CommandGroup& root);

// These add their commands to the group "admin".
void AddBackupCommands(CommandGroup& admin);
void AddHistoryCommand(CommandGroup& admin);

// These add their commands to the group "object".
void AddEntryCommands(CommandGroup& object);
void AddAlarmCommands(CommandGroup& object);
void AddObjectFileCommands(CommandGroup& object);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_COMMANDS_H_
