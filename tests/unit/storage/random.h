// Random numbers for property tests: the seed determines the run, a failure prints it, and HOLDFAST_TEST_SEED replays
// it.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_RANDOM_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_RANDOM_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Bits() { return engine_(); }
  // Returns a number from 0 to n - 1.
  uint64_t Below(uint64_t n) { return engine_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

  // Returns any bytes.
  std::string Bytes(size_t length_max) {
    std::string bytes(Below(length_max + 1), '\0');
    for (char& c : bytes) c = static_cast<char>(Bits());
    return bytes;
  }
  // Returns bytes of `alphabet`. A small alphabet makes the texts of a test often equal, or prefixes of each other.
  std::string Text(size_t length_max, absl::string_view alphabet) {
    std::string text(Below(length_max + 1), '\0');
    for (char& c : text) c = alphabet[Below(alphabet.size())];
    return text;
  }

 private:
  std::mt19937_64 engine_;
};

// Runs `body` with one Random after the other, seeded with 1 to `seeds`, until one fails.
template <typename Body>
void ForEachSeed(uint64_t seeds, Body body) {
  uint64_t first = 1;
  if (const char* given = std::getenv("HOLDFAST_TEST_SEED"); given != nullptr) {
    ASSERT_TRUE(absl::SimpleAtoi(given, &first)) << "HOLDFAST_TEST_SEED is no number";
    seeds = 1;
  }
  for (uint64_t seed = first; seed - first < seeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("replay with HOLDFAST_TEST_SEED=", seed));
    Random random(seed);
    body(random);
    if (testing::Test::HasFailure()) return;
  }
}

// The keys of the random tests: few enough to check each, with the bytes at which wrong orders differ. No key begins
// with 0xFF: no key of an object does, and a removed range without an end reaches no further in RocksDB.
inline const std::vector<std::string>& AllKeys() {
  static const auto* const keys = [] {
    static constexpr absl::string_view kBytes("\x00\x01\x61\x62\xff", 5);
    auto* made = new std::vector<std::string>{""};
    for (char first : kBytes.substr(0, 4)) {
      made->push_back({first});
      for (char second : kBytes) {
        made->push_back({first, second});
        for (char third : kBytes) made->push_back({first, second, third});
      }
    }
    return made;
  }();
  return *keys;
}

inline const std::string& RandomKey(Random& random) { return random.Pick(AllKeys()); }

// Returns a range that often has no end and is sometimes empty.
inline KeyRange RandomRange(Random& random) {
  KeyRange range{RandomKey(random), random.OneIn(4) ? "" : RandomKey(random)};
  if (range.IsEmpty() && !random.OneIn(4)) {
    std::swap(range.start, range.end);
    if (range.IsEmpty()) range.end += '\0';
  }
  return range;
}

inline WriteSet RandomWrites(Random& random, size_t writes_max) {
  WriteSet set;
  for (uint64_t n = random.Below(writes_max + 1); n > 0; --n) {
    switch (random.Below(8)) {
      case 0:
        set.DeleteRange(RandomRange(random));
        break;
      case 1:
      case 2:
        set.Delete(RandomKey(random));
        break;
      default:
        set.Put(RandomKey(random), random.Bytes(12));
    }
  }
  return set;
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_RANDOM_H_
