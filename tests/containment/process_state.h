// The memory, threads and descriptors of a process, as the system reports them.

#ifndef HOLDFAST_TESTS_CONTAINMENT_PROCESS_STATE_H_
#define HOLDFAST_TESTS_CONTAINMENT_PROCESS_STATE_H_

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace holdfast::testing {

// Returns a number of /proc/PID/status; 0 if the process is not there.
inline int64_t ProcessStatus(pid_t pid, absl::string_view name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.first != name) continue;
    for (absl::string_view word : absl::StrSplit(parts.second, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
      int64_t number = 0;
      if (absl::SimpleAtoi(word, &number)) return number;
    }
  }
  return 0;
}

inline int64_t MemoryMiB(pid_t pid) { return ProcessStatus(pid, "VmRSS") >> 10; }
inline int64_t Threads(pid_t pid) { return ProcessStatus(pid, "Threads"); }
inline int64_t Descriptors(pid_t pid) {
  std::error_code error;
  std::filesystem::directory_iterator files(absl::StrCat("/proc/", pid, "/fd"), error);
  return error ? 0 : std::distance(begin(files), end(files));
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTAINMENT_PROCESS_STATE_H_
