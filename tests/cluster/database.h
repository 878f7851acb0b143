// The database of a cluster of a test: one or several servers of PostgreSQL, of which one takes writes.

#ifndef HOLDFAST_TESTS_CLUSTER_DATABASE_H_
#define HOLDFAST_TESTS_CLUSTER_DATABASE_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/proxy.h"

namespace holdfast::testing {

class Database {
 public:
  Database() = default;
  virtual ~Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // For libpq: the server that takes writes, without a proxy.
  virtual std::string conninfo() const = 0;
  // Returns new proxies, one to each server.
  virtual std::vector<std::unique_ptr<Proxy>> NewProxies() const = 0;
  // For libpq: the server that takes writes, through a proxy to each, which listens on its port of 127.0.0.1.
  virtual std::string ConninfoAt(const std::vector<int>& ports) const = 0;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_DATABASE_H_
