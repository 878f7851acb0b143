// A process that a test may kill. This very program, started anew, runs the function that was registered under a name
// instead of the tests, and reports its progress to the test in lines.
//
//   const ChildProgram kHold("hold", [](const std::vector<std::string>& arguments) { ...; ChildSays("open"); ... });
//   Child child("hold", {dir});
//   child.ReadLine();  // "open"
//   child.Kill();
//
// A mere fork would not do: the child would have none of RocksDB's threads.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_CHILD_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_CHILD_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/shared/start_process.h"

namespace holdfast::storage {

inline constexpr char kChildVariable[] = "HOLDFAST_TEST_CHILD";  // the program and its arguments, a line each
inline constexpr int kChildLinesFd = 100;

class ChildProgram {
 public:
  using Function = std::function<void(const std::vector<std::string>& arguments)>;

  // Registers the function; must be called before main.
  ChildProgram(const std::string& name, Function function) {
    if (Programs().empty()) testing::AddGlobalTestEnvironment(new Runner);
    Programs()[name] = std::move(function);
  }

 private:
  // Runs the registered function before the first test, and then ends the process.
  class Runner : public testing::Environment {
   public:
    void SetUp() override {
      const char* given = std::getenv(kChildVariable);
      if (given == nullptr) return;
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::vector<std::string> arguments = absl::StrSplit(given, '\n');
      const Function& function = Programs().at(arguments[0]);
      arguments.erase(arguments.begin());
      function(arguments);
      _exit(0);
    }
  };

  static std::map<std::string, Function>& Programs() {
    static auto* const programs = new std::map<std::string, Function>;
    return *programs;
  }
};

// Called in the child: sends a line to the test that started it.
inline void ChildSays(absl::string_view text) {
  const std::string line = absl::StrCat(text, "\n");
  if (write(kChildLinesFd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(1);
}

// Called in the child: waits to be killed.
[[noreturn]] inline void ChildWaits() {
  while (true) pause();
}

class Child {
 public:
  Child(const std::string& program, const std::vector<std::string>& arguments) {
    int lines[2];
    if (pipe2(lines, O_CLOEXEC) != 0) {
      ADD_FAILURE() << "no pipe";
      return;
    }
    lines_ = fdopen(lines[0], "r");
    std::string variable = absl::StrCat(kChildVariable, "=", program);
    for (const std::string& argument : arguments) absl::StrAppend(&variable, "\n", argument);
    pid_ = process::StartProcess({.arguments = {"/proc/self/exe"},
                                  .environment = {variable},
                                  .output_path = "/dev/null",
                                  .standard_error = false,
                                  .descriptor = {{lines[1], kChildLinesFd}}});
    if (pid_ < 0) ADD_FAILURE() << "no child";
    close(lines[1]);
  }
  // Kills the child, if it still runs.
  ~Child() {
    Kill();
    if (lines_ != nullptr) std::fclose(lines_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Returns the child's next line; nothing once the child is gone and all its lines were read.
  std::optional<std::string> ReadLine() {
    std::string line;
    for (int c = std::fgetc(lines_); c != EOF; c = std::fgetc(lines_)) {
      if (c == '\n') return line;
      line.push_back(static_cast<char>(c));
    }
    return std::nullopt;
  }

  // Sends SIGKILL, and waits until the child is gone. Its earlier lines can still be read.
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;  // not above 0 once the child is gone
  std::FILE* lines_ = nullptr;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_CHILD_H_
