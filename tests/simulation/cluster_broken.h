// The variants of a cluster that are broken on purpose, each by one rule that is left out. Nothing of the server has a
// seam for it: the statement does less than it should, or the simulation gives the server less than it asks for.

#ifndef HOLDFAST_TESTS_SIMULATION_CLUSTER_BROKEN_H_
#define HOLDFAST_TESTS_SIMULATION_CLUSTER_BROKEN_H_

namespace holdfast::simulation {

enum class ClusterBroken {
  kNothing,
  // In the database.
  kCommitUnfenced,     // a commit compares nothing with its writer's row
  kEpochUnchecked,     // a commit compares the batch alone, so a take-over fences nobody
  kTakeOverEarly,      // members seem to have a third of their lease
  kMoveUnchecked,      // a move does not ask who has the shard
  kGiveUnfenced,       // a move has no fence either
  kResolveByRead,      // an outcome is found out by a read, which a server that was replaced answers too
  kLoadFromReplaced,   // a read does not ask for the last commit, and is of any server
  kLogNotWrittenBack,  // a take-over finds no batches in the logs
  // Around the process.
  kLeaseFromAnswer,    // the lease counts from the answer
  kReadsWithoutLease,  // reads do not ask for the lease
  kGiveBeforeCommit,   // shards are given away before the executors have released them
  kGiveBeforeFold,     // shards are given away before the log is in the rows
  kNotForgotten,       // rows in memory of a shard stay when it goes
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_CLUSTER_BROKEN_H_
