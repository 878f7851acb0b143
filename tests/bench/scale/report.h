// Figures with their targets, which are printed as they come and kept for a JSON file.

#ifndef HOLDFAST_TESTS_BENCH_SCALE_REPORT_H_
#define HOLDFAST_TESTS_BENCH_SCALE_REPORT_H_

#include <optional>
#include <string>
#include <vector>

namespace holdfast::bench {

struct Target {
  enum Kind { kAtMost, kAtLeast };
  Kind kind;
  double value;
};
inline Target AtMost(double value) { return {Target::kAtMost, value}; }
inline Target AtLeast(double value) { return {Target::kAtLeast, value}; }

class Report {
 public:
  // The rows that follow belong to this part, which ran with these settings.
  void Begin(const std::string& part, const std::string& settings);
  // Returns whether the target is met; true where there is no target.
  bool Add(const std::string& name, double figure, const std::string& unit, std::optional<Target> target = {});
  // Prints and keeps a remark beside the figures.
  void Note(const std::string& text);
  // The number of targets that were missed.
  int missed() const;
  // Returns false if the file cannot be written.
  bool WriteJson(const std::string& path) const;

 private:
  struct Row {
    std::string part, name, unit;
    double figure;
    std::optional<Target> target;
  };
  static bool Met(const Row& row);

  std::string part_;
  std::vector<Row> rows_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_REPORT_H_
