#include "tests/bench/wire_report.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace holdfast::bench {
namespace {

double MedianOf(const std::vector<Round>& rounds, double Round::*field) {
  std::vector<float> values;
  for (const Round& round : rounds) values.push_back(static_cast<float>(round.*field));
  return Quantile(&values, 0.5);
}

using Row = google::protobuf::Map<std::string, google::protobuf::Value>;

void Set(Row* row, const std::string& key, double value) { (*row)[key].set_number_value(value); }
void Set(Row* row, const std::string& key, const std::string& value) { (*row)[key].set_string_value(value); }

}  // namespace

void WireReport::AddRound(const std::string& name, const std::string& contender, const Round& round) {
  auto& rounds = rounds_[{name, contender}];
  if (rounds.empty()) order_.emplace_back(name, contender);
  rounds.push_back(round);
}

bool WireReport::Has(const std::string& name, const std::string& contender) const {
  return rounds_.count({name, contender}) > 0;
}

Round WireReport::MedianOf(const std::string& name, const std::string& contender) const {
  const auto found = rounds_.find({name, contender});
  if (found == rounds_.end()) return {};
  Round median;
  for (double Round::*field : {&Round::ops_per_s, &Round::p50_us, &Round::p99_us, &Round::p999_us,
                               &Round::server_cpu_us_per_op, &Round::rss_mb}) {
    median.*field = bench::MedianOf(found->second, field);
  }
  for (const Round& round : found->second) median.failures += round.failures;
  return median;
}

std::pair<double, double> WireReport::RangeOf(const std::string& name, const std::string& contender) const {
  const auto [lowest, highest] =
      std::ranges::minmax(rounds_.at({name, contender}), {}, [](const Round& round) { return round.ops_per_s; });
  return {lowest.ops_per_s, highest.ops_per_s};
}

void WireReport::AddRatio(const std::string& name, const std::string& of, const std::string& to, double at_least) {
  if (!Has(name, of) || !Has(name, to)) return;
  const double value = MedianOf(name, of).ops_per_s / MedianOf(name, to).ops_per_s;
  ratios_.push_back({name, of, to, value});
  if (at_least > 0) AddTarget({name + ": " + of + " / " + to, value, at_least});
}

void WireReport::Print() const {
  std::printf("\n");
  for (const auto& [key, value] : environment_) std::printf("%-20s %s\n", key.c_str(), value.c_str());
  for (const auto& [contender, why] : skipped_) std::printf("%-20s SKIPPED: %s\n", contender.c_str(), why.c_str());
  std::printf("\n%-22s %-10s %10s %19s %9s %9s %9s %8s %8s %9s\n", "work", "contender", "ops/s", "lowest..highest",
              "p50 us", "p99 us", "p99.9 us", "cpu us", "rss MB", "failures");
  for (const auto& [name, contender] : order_) {
    const Round m = MedianOf(name, contender);
    const auto [lowest, highest] = RangeOf(name, contender);
    std::printf("%-22s %-10s %10.0f %8.0f..%-9.0f %9.0f %9.0f %9.0f %8.1f %8.0f %9lld\n", name.c_str(),
                contender.c_str(), m.ops_per_s, lowest, highest, m.p50_us, m.p99_us, m.p999_us, m.server_cpu_us_per_op,
                m.rss_mb, static_cast<long long>(m.failures));
  }
  std::printf("\n%-48s %10s\n", "ratio of medians", "value");
  for (const Ratio& ratio : ratios_) {
    std::printf("%-48s %10.2f\n", (ratio.name + ": " + ratio.of + " / " + ratio.to).c_str(), ratio.value);
  }
  std::printf("\n%-48s %10s %12s\n", "target", "figure", "");
  for (const Target& target : targets_) {
    std::printf("%-48s %10.2f %s %-9.2f %s\n", target.text.c_str(), target.figure,
                target.at_most ? "<=" : ">=", target.bound, target.met() ? "met" : "MISSED");
  }
}

void WireReport::WriteJson(const std::string& path) const {
  google::protobuf::ListValue rows;
  const auto add = [&rows] { return rows.add_values()->mutable_struct_value()->mutable_fields(); };
  for (const auto& [key, value] : environment_) Set(add(), key, value);
  for (const auto& [name, contender] : order_) {
    const Round m = MedianOf(name, contender);
    Row* const row = add();
    Set(row, "name", name);
    Set(row, "contender", contender);
    Set(row, "ops_per_s", m.ops_per_s);
    const auto [lowest, highest] = RangeOf(name, contender);
    Set(row, "ops_per_s_lowest", lowest);
    Set(row, "ops_per_s_highest", highest);
    Set(row, "p50_us", m.p50_us);
    Set(row, "p99_us", m.p99_us);
    Set(row, "p999_us", m.p999_us);
    Set(row, "server_cpu_us_per_op", m.server_cpu_us_per_op);
    Set(row, "rss_mb", m.rss_mb);
    Set(row, "failures", static_cast<double>(m.failures));
  }
  for (const Ratio& ratio : ratios_) {
    Row* const row = add();
    Set(row, "ratio", ratio.name);
    Set(row, "of", ratio.of);
    Set(row, "to", ratio.to);
    Set(row, "value", ratio.value);
  }
  for (const Target& target : targets_) {
    Row* const row = add();
    Set(row, "target", target.text);
    Set(row, "figure", target.figure);
    Set(row, target.at_most ? "at_most" : "at_least", target.bound);
    Set(row, "outcome", target.met() ? "met" : "missed");
  }
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::ofstream file(path);
  if (google::protobuf::util::MessageToJsonString(rows, &json, options).ok()) file << json;
  file.close();
  if (!file) {
    std::fprintf(stderr, "cannot write %s\n", path.c_str());
    std::exit(1);
  }
}

}  // namespace holdfast::bench
