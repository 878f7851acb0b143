// Measures the server with a million objects, with a million alarms, and after a while. Prints figures beside their
// targets; README.md explains them.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "tests/bench/scale/parts.h"

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  ScaleOptions options;
  std::string part = "all";
  std::string json;
  CLI::App app("The server at scale: figures beside their targets");
  app.add_option("--objects", options.objects, "Objects of the largest store")->check(CLI::Range(1000, 10'000'000));
  app.add_option("--alarms", options.alarms, "Alarms due at one time")->check(CLI::Range(1000, 10'000'000));
  app.add_option("--soak-minutes", options.soak_minutes, "Length of the soak")->check(CLI::Range(0.1, 10'000.0));
  app.add_option("--part", part, "start, memory, activation, alarms, soak, space, or all");
  app.add_option("--json", json, "File for the figures");
  CLI11_PARSE(app, argc, argv);

  constexpr std::pair<const char*, void (*)(const ScaleOptions&, Report*)> kParts[] = {
      {"start", RunStart},   {"memory", RunMemory}, {"activation", RunActivation},
      {"alarms", RunAlarms}, {"soak", RunSoak},     {"space", RunSpace},
  };
  Report report;
  bool found = false;
  for (const auto& [name, run] : kParts) {
    if (part != "all" && part != name) continue;
    found = true;
    run(options, &report);
  }
  if (!found) {
    std::fprintf(stderr, "no such part: %s\n", part.c_str());
    return 2;
  }
  std::printf("\n%d targets missed\n", report.missed());
  if (!json.empty() && !report.WriteJson(json)) {
    std::fprintf(stderr, "cannot write %s\n", json.c_str());
    return 1;
  }
  return 0;
}
