// A copy of a store (rocksdb_copies.h) that is read where it lies.

#ifndef HOLDFAST_STORAGE_ROCKSDB_STORE_COPY_H_
#define HOLDFAST_STORAGE_ROCKSDB_STORE_COPY_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/env.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// As StoreCopies::OpenCopy; `env` and `name` are those by which the BackupEngine has the copy opened.
absl::StatusOr<std::unique_ptr<Store>> OpenStoreCopy(std::shared_ptr<rocksdb::Env> env, const std::string& name,
                                                     absl::FunctionRef<bool(absl::string_view name)> wanted);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_STORE_COPY_H_
