// The number of a batch of commits. Each executor numbers its batches from 1, without gaps.

#ifndef HOLDFAST_STORAGE_BASE_BATCH_NUMBER_H_
#define HOLDFAST_STORAGE_BASE_BATCH_NUMBER_H_

#include <cstdint>

namespace holdfast::storage {

using BatchNumber = uint64_t;

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_BATCH_NUMBER_H_
