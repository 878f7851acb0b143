// Files that the group may use where their directory is the group's.
//
// The files of a store may have to be opened by a process with another user id than the one that made them: OpenShift
// runs a container under a user id that is the namespace's, and always in group 0. RocksDB makes files that only their
// owner may write. So a file in a directory that its group may write gets the same rights for the group. A directory
// with the sticky bit, as /tmp, is everybody's and nobody's; files in it keep the rights that they were made with.

#ifndef HOLDFAST_STORAGE_BASE_GROUP_ACCESS_H_
#define HOLDFAST_STORAGE_BASE_GROUP_ACCESS_H_

#include <string>

namespace holdfast::storage {

// Lets the group read and write `path`, a file or a directory, if it may write the directory that has it. What can't be
// changed, since it belongs to another user or is gone, is left as it is.
void ShareWithGroup(const std::string& path);

// The same for every file of a directory: those that an earlier version made, or that a crash left.
void ShareFilesWithGroup(const std::string& directory);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_GROUP_ACCESS_H_
