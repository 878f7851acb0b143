// Lets the group use files in a directory that the group may write.
//
// The files of a store may have to be opened by a process with another user id than the one that made them: OpenShift
// runs a container under a user id that is the namespace's, and always in group 0. RocksDB makes files that only their
// owner may write. The group therefore gets the right to read and write a file if it may write the file's directory. A
// directory with the sticky bit, such as /tmp, belongs to nobody in particular; files in it keep the rights that they
// were made with.

#ifndef HOLDFAST_STORAGE_BASE_GROUP_ACCESS_H_
#define HOLDFAST_STORAGE_BASE_GROUP_ACCESS_H_

#include <string>

namespace holdfast::storage {

// Lets the group read and write `path`, a file or a directory, if the group may write the directory that contains it. A
// file whose rights can't be changed, since it belongs to another user or is gone, is left as it is.
void ShareWithGroup(const std::string& path);

// Does the same for every file of a directory, such as files that an earlier version made or a crash left.
void ShareFilesWithGroup(const std::string& directory);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_GROUP_ACCESS_H_
