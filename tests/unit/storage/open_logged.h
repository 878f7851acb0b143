// A store with commit logs, for the tests of stores.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_OPEN_LOGGED_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_OPEN_LOGGED_H_

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "storage/fold/logged_store.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// A store that folds all the time.
inline std::unique_ptr<Store> OpenLoggedOrDie(std::unique_ptr<Store> below, std::unique_ptr<CommitLogs> logs,
                                              uint32_t first_log = 0) {
  LoggedStoreOptions options;
  options.first_log = first_log;
  options.fold_every = absl::Milliseconds(1);
  auto store = LoggedStore::Open(std::move(below), std::move(logs), std::move(options));
  if (!store.ok()) {
    std::cerr << store.status() << std::endl;
    std::abort();
  }
  return *std::move(store);
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_OPEN_LOGGED_H_
