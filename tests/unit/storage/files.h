// These functions read, write and damage files of a test.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_FILES_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_FILES_H_

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace holdfast::storage {

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void FlipBit(const std::string& path, size_t byte, int bit) {
  std::string bytes = ReadFile(path);
  ASSERT_LT(byte, bytes.size());
  bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
  WriteFile(path, bytes);
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_FILES_H_
