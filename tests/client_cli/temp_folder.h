// A folder of a test, which is gone after it.

#ifndef HOLDFAST_TESTS_CLIENT_CLI_TEMP_FOLDER_H_
#define HOLDFAST_TESTS_CLIENT_CLI_TEMP_FOLDER_H_

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace holdfast::client {

class TempFolder {
 public:
  TempFolder() {
    std::string form = ::testing::TempDir() + "/holdfast_client_XXXXXX";
    path_ = mkdtemp(form.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }

  std::string path(const std::string& name) const { return path_ + "/" + name; }

  // Writes a file that only this user may read, and returns its path.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    chmod(path(name).c_str(), 0600);
    return path(name);
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

 private:
  std::string path_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_TESTS_CLIENT_CLI_TEMP_FOLDER_H_
