// Makes the calling thread give way to others.

#ifndef HOLDFAST_STORAGE_BASE_LOW_PRIORITY_H_
#define HOLDFAST_STORAGE_BASE_LOW_PRIORITY_H_

namespace holdfast::storage {

// Names the thread (15 letters at most), gives it this nice value, and its reads and writes the lowest priority of
// those that are never starved, for the disk schedulers that know priorities.
void GiveWay(const char* thread_name, int nice);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_LOW_PRIORITY_H_
