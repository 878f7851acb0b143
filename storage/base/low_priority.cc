#include "storage/base/low_priority.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast::storage {
namespace {

// From linux/ioprio.h, which Debian's headers of the C library do not have.
constexpr int kIoPrioWhoProcess = 1;
constexpr int kIoPrioClassShift = 13;
constexpr int kIoPrioBestEffort = 2;
constexpr int kIoPrioLowest = 7;

}  // namespace

void GiveWay(const char* thread_name, int nice) {
  pthread_setname_np(pthread_self(), thread_name);
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  setpriority(PRIO_PROCESS, thread, nice);
  (void)syscall(SYS_ioprio_set, kIoPrioWhoProcess, thread, kIoPrioBestEffort << kIoPrioClassShift | kIoPrioLowest);
}

}  // namespace holdfast::storage
