// What a run of the benchmark has found, as a table for people and as JSON for programs, and the targets.

#ifndef HOLDFAST_TESTS_BENCH_WIRE_REPORT_H_
#define HOLDFAST_TESTS_BENCH_WIRE_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/load.h"

namespace holdfast::bench {

// One round of one contender at one kind of work. Units: calls, or increments where a call has several.
struct Round {
  double ops_per_s = 0;
  double p50_us = 0, p99_us = 0, p999_us = 0;
  double server_cpu_us_per_op = 0;
  double rss_mb = 0;
  int64_t failures = 0;
};

// What a case claims: a figure, and what it must be at least or at most.
struct Target {
  std::string text;  // "increment: holdfast / echo"
  double figure = 0;
  double bound = 0;
  bool at_most = false;

  bool met() const { return at_most ? figure <= bound : figure >= bound; }
};

class WireReport {
 public:
  // Lines that say what was measured with: cores, versions, file system.
  void AddEnvironment(const std::string& key, const std::string& value) { environment_.emplace_back(key, value); }
  void AddRound(const std::string& name, const std::string& contender, const Round& round);
  void AddSkipped(const std::string& contender, const std::string& why) { skipped_.emplace_back(contender, why); }
  // Medians over the rounds; zero if there are none.
  Round MedianOf(const std::string& name, const std::string& contender) const;
  bool Has(const std::string& name, const std::string& contender) const;
  // The ratio of two contenders' medians; a target if `at_least` is not 0. Nothing if one of them did not run.
  void AddRatio(const std::string& name, const std::string& of, const std::string& to, double at_least);
  void AddTarget(const Target& target) { targets_.push_back(target); }

  // Two builds are alike in a case where the median of each is within the range of the other's rounds.
  void Print() const;
  // Exits the program if the file cannot be written.
  void WriteJson(const std::string& path) const;

 private:
  // The lowest and the highest ops_per_s of rounds that there are.
  std::pair<double, double> RangeOf(const std::string& name, const std::string& contender) const;

  struct Ratio {
    std::string name, of, to;
    double value;
  };

  std::vector<std::pair<std::string, std::string>> environment_;
  std::vector<std::pair<std::string, std::string>> skipped_;
  std::vector<std::pair<std::string, std::string>> order_;  // name and contender, as they came
  std::map<std::pair<std::string, std::string>, std::vector<Round>> rounds_;
  std::vector<Ratio> ratios_;
  std::vector<Target> targets_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_WIRE_REPORT_H_
