// A directory of a test, which is removed with the object.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_TEMP_DIR_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_TEMP_DIR_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace holdfast::storage {

class TempDir {
 public:
  TempDir() : path_(testing::TempDir() + "holdfast-storage-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no temporary directory " << path_;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_TEMP_DIR_H_
