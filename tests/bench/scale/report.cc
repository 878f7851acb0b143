#include "tests/bench/scale/report.h"

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace holdfast::bench {

void Report::Begin(const std::string& part, const std::string& settings) {
  part_ = part;
  std::printf("\n%s: %s\n", part.c_str(), settings.c_str());
  std::fflush(stdout);
}

bool Report::Met(const Row& row) {
  if (!row.target) return true;
  return row.target->kind == Target::kAtMost ? row.figure <= row.target->value : row.figure >= row.target->value;
}

bool Report::Add(const std::string& name, double figure, const std::string& unit, std::optional<Target> target) {
  const Row& row = rows_.emplace_back(Row{part_, name, unit, figure, target});
  std::string verdict;
  if (target) {
    verdict = absl::StrFormat("%s %-8.5g %s", target->kind == Target::kAtMost ? "<=" : ">=", target->value,
                              Met(row) ? "met" : "MISSED");
  }
  std::printf("  %-66s %12.4f %-6s %s\n", name.c_str(), figure, unit.c_str(), verdict.c_str());
  std::fflush(stdout);
  return Met(row);
}

void Report::Note(const std::string& text) {
  std::printf("  (%s)\n", text.c_str());
  std::fflush(stdout);
}

int Report::missed() const {
  int missed = 0;
  for (const Row& row : rows_) missed += Met(row) ? 0 : 1;
  return missed;
}

bool Report::WriteJson(const std::string& path) const {
  std::ofstream out(path);
  out << "[";
  for (size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    out << (i == 0 ? "\n" : ",\n")
        << absl::StrFormat(R"({"part": "%s", "name": "%s", "figure": %.6g, "unit": "%s")", row.part, row.name,
                           row.figure, row.unit);
    if (row.target) {
      out << absl::StrFormat(R"(, "target": "%s %.6g", "met": %s)",
                             row.target->kind == Target::kAtMost ? "<=" : ">=", row.target->value,
                             Met(row) ? "true" : "false");
    }
    out << "}";
  }
  out << "\n]\n";
  return out.good();
}

}  // namespace holdfast::bench
