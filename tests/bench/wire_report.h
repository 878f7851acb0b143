// The results of a run of the benchmark, as a table for people and as JSON for programs, with the targets.

#ifndef HOLDFAST_TESTS_BENCH_WIRE_REPORT_H_
#define HOLDFAST_TESTS_BENCH_WIRE_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/load.h"

namespace holdfast::bench {

// One round of one contender at one kind of work. The operations are calls, or increments where a call has several.
struct Round {
  double ops_per_s = 0;
  double p50_us = 0, p99_us = 0, p999_us = 0;
  double server_cpu_us_per_op = 0;
  double rss_mb = 0;
  int64_t failures = 0;
};

// A claim of a case: a figure with its lower or upper bound.
struct Target {
  std::string text;  // "increment: holdfast / echo"
  double figure = 0;
  double bound = 0;
  bool at_most = false;

  bool met() const { return at_most ? figure <= bound : figure >= bound; }
};

class WireReport {
 public:
  // Adds a line about the environment of the measurement: cores, versions, file system.
  void AddEnvironment(const std::string& key, const std::string& value) { environment_.emplace_back(key, value); }
  void AddRound(const std::string& name, const std::string& contender, const Round& round);
  void AddSkipped(const std::string& contender, const std::string& why) { skipped_.emplace_back(contender, why); }
  // Returns the medians over the rounds; zero if there are no rounds.
  Round MedianOf(const std::string& name, const std::string& contender) const;
  bool Has(const std::string& name, const std::string& contender) const;
  // Adds the ratio of two contenders' medians; it is a target if `at_least` is not 0. Adds nothing if one of them did
  // not run.
  void AddRatio(const std::string& name, const std::string& of, const std::string& to, double at_least);
  void AddTarget(const Target& target) { targets_.push_back(target); }

  // The printed table calls two builds alike in a case where the median of each is within the range of the other's
  // rounds.
  void Print() const;
  // Exits the program if the file cannot be written.
  void WriteJson(const std::string& path) const;

 private:
  // Returns the lowest and the highest ops_per_s of the rounds, of which there is at least one.
  std::pair<double, double> RangeOf(const std::string& name, const std::string& contender) const;

  struct Ratio {
    std::string name, of, to;
    double value;
  };

  std::vector<std::pair<std::string, std::string>> environment_;
  std::vector<std::pair<std::string, std::string>> skipped_;
  std::vector<std::pair<std::string, std::string>> order_;  // name and contender, in the order of their first rounds
  std::map<std::pair<std::string, std::string>, std::vector<Round>> rounds_;
  std::vector<Ratio> ratios_;
  std::vector<Target> targets_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_WIRE_REPORT_H_
