// Writes the stores that upgrade_test opens, with the holdfastd of the version whose stores must open from then on:
//
//   cmake --build --preset dev --target write_stores
//   build/dev/tests/upgrade/write_stores PATH_OF_HOLDFASTD OUTPUT_DIRECTORY
//
// The program leaves two archives in the output directory and replaces those that are there: stopped.tar.gz has a store
// whose server was stopped, killed.tar.gz one whose server was killed. To have them tested, add them to
// tests/upgrade/stores as VERSION-stopped.tar.gz and VERSION-killed.tar.gz, and name them in upgrade_test.cc.
//
// The exit status is 0 if both archives were written, 1 if one was not, and 2 if the arguments are wrong. If the server
// does not start, the program prints its log and aborts.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/integration/server_process.h"
#include "tests/upgrade/contents.h"

namespace holdfast::testing {
namespace {

// The way in which the server of a store ends.
enum class End { kStopped, kKilled };

void PrintError(const std::string& error) { std::fprintf(stderr, "write_stores: %s\n", error.c_str()); }

// Prints the error with the log of its server.
void PrintError(const std::string& error, const ServerProcess& server) {
  PrintError(absl::StrCat(error, "; the server's log:\n", server.Log()));
}

// Returns the text as one word of a shell command.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// Runs `write`, which prints each call that fails. Returns false, and prints an error, if a call failed.
bool Write(void (*write)(const ServerProcess&), const ServerProcess& server) {
  write(server);
  // No test runs, so gtest counts the failed expectation as one of the whole program.
  if (!::testing::UnitTest::GetInstance()->Failed()) return true;
  PrintError("the server did not accept all calls", server);
  return false;
}

// Stops the server. Returns false, and prints an error, if it does not end well.
bool Stop(ServerProcess* server) {
  const int status = server->Terminate();
  if (status == 0) return true;
  PrintError(absl::StrCat("the server ended with status ", status, " when it was stopped"), *server);
  return false;
}

// Packs the data directory in `directory`, without RocksDB's LOG files, which nobody reads. Returns false, and prints
// an error, if that failed.
bool Archive(const std::string& directory, const std::string& archive) {
  const std::string tar = directory + "/store.tar";
  const std::string command =
      absl::StrCat("tar --owner=0 --group=0 --numeric-owner -C ", Quoted(directory), " -cf ", Quoted(tar),
                   " --exclude='LOG*' data && gzip -9nc ", Quoted(tar), " > ", Quoted(archive));
  if (std::system(command.c_str()) == 0) return true;
  PrintError(absl::StrCat("this command failed: ", command));
  return false;
}

// Writes a store with two servers, the first of which is stopped, and packs it. Returns false, and prints an error, if
// that failed.
bool WriteStore(const std::string& program, End end, const std::string& archive) {
  const TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  {
    ServerProcess server(data_dir, kWriterConfig, "", {program});
    if (!Write(WriteContents, server) || !Stop(&server)) return false;
  }
  ServerProcess server(data_dir, kWriterConfig, "", {program});
  if (!Write(WriteMore, server)) return false;
  if (end == End::kKilled) {
    server.Kill();
  } else if (!Stop(&server)) {
    return false;
  }
  return Archive(directory.path(), archive);
}

int Main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: write_stores PATH_OF_HOLDFASTD OUTPUT_DIRECTORY\n");
    return 2;
  }
  const std::string program = argv[1];
  const std::filesystem::path output = argv[2];
  std::error_code error;
  if (!std::filesystem::is_regular_file(program, error) || access(program.c_str(), X_OK) != 0) {
    PrintError(absl::StrCat(program, " is not a program that can be run"));
    return 2;
  }
  if (!std::filesystem::is_directory(output, error)) {
    PrintError(absl::StrCat(output.string(), " is not a directory"));
    return 2;
  }
  const std::string stopped = output / "stopped.tar.gz";
  const std::string killed = output / "killed.tar.gz";
  if (!WriteStore(program, End::kStopped, stopped) || !WriteStore(program, End::kKilled, killed)) return 1;
  std::printf("%s\n%s\n", stopped.c_str(), killed.c_str());
  return 0;
}

}  // namespace
}  // namespace holdfast::testing

int main(int argc, char** argv) { return holdfast::testing::Main(argc, argv); }
