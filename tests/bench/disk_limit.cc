#include "tests/bench/disk_limit.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "rocksdb/db.h"

namespace holdfast::bench {

LoadResult SyncedWrites(const std::string& directory, absl::Duration time) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, directory, &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  LoadResult result;
  std::vector<float> micros;
  const absl::Time begin = absl::Now();
  absl::Time now = begin;
  while (status.ok() && now < begin + time) {
    status = db->Put(synced, absl::StrCat("key-", result.calls % 1000), "a value");
    const absl::Time ended = absl::Now();
    micros.push_back(static_cast<float>(absl::ToDoubleMicroseconds(ended - now)));
    now = ended;
    ++result.calls;
  }
  if (!status.ok()) {
    std::fprintf(stderr, "the raw write loop: %s\n", status.ToString().c_str());
    std::exit(1);
  }
  result.seconds = absl::ToDoubleSeconds(now - begin);
  result.p50_us = Quantile(&micros, 0.5);
  result.p99_us = Quantile(&micros, 0.99);
  result.p999_us = Quantile(&micros, 0.999);
  return result;
}

}  // namespace holdfast::bench
