// The file of an object: it is read as it was written, and a file that is damaged anywhere is refused.

#include "storage/object/object_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/storage/status_matchers.h"

namespace holdfast::storage {
namespace {

ObjectImage Example() {
  return {.object_class = "Counter",
          .schema_version = 2,
          .alarm_us = -5,
          .keys = {{"\x04", ""}, {std::string("\x10 \0 k", 5), "value"}, {"\x20\x01", std::string(300, '\0')}}};
}

TEST(ObjectImageTest, AFileIsReadAsItWasWritten) {
  EXPECT_THAT(DecodeObjectImage(EncodeObjectImage(Example())), IsOkAnd(Example()));
  ObjectImage empty{.object_class = "Object"};
  EXPECT_THAT(DecodeObjectImage(EncodeObjectImage(empty)), IsOkAnd(empty));
}

TEST(ObjectImageTest, AFileIsRefusedThatIsDamagedAtAnyByte) {
  const std::string whole = EncodeObjectImage(Example());
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string file = whole;
      file[at] = static_cast<char>(file[at] ^ (1 << bit));
      EXPECT_FALSE(DecodeObjectImage(file).ok()) << "byte " << at << ", bit " << bit;
    }
    EXPECT_FALSE(DecodeObjectImage(whole.substr(0, at)).ok()) << at << " bytes of the file";
  }
  EXPECT_FALSE(DecodeObjectImage(whole + "x").ok());
}

TEST(ObjectImageTest, ARefusalSaysWhy) {
  const std::string whole = EncodeObjectImage(Example());
  EXPECT_THAT(DecodeObjectImage("SQLite format 3"),
              IsStatus(absl::StatusCode::kInvalidArgument, "is no file of an object"));
  EXPECT_THAT(DecodeObjectImage(whole.substr(0, whole.size() - 1)),
              IsStatus(absl::StatusCode::kDataLoss, "is damaged or incomplete"));
  std::string newer = whole;
  newer[8] = 9;
  EXPECT_THAT(DecodeObjectImage(newer),
              IsStatus(absl::StatusCode::kFailedPrecondition, "is of version 9 of the format; this program reads 1"));
}

TEST(ObjectImageTest, KeysThatAnImportMakesItselfAreRefused) {
  for (const std::string& key : {"", "\x01", "\x02"}) {
    ObjectImage image = Example();
    image.keys.insert(image.keys.begin(), {key, "v"});
    EXPECT_FALSE(DecodeObjectImage(EncodeObjectImage(image)).ok());
  }
  ObjectImage unsorted = Example();
  std::swap(unsorted.keys[0], unsorted.keys[1]);
  EXPECT_FALSE(DecodeObjectImage(EncodeObjectImage(unsorted)).ok());
}

}  // namespace
}  // namespace holdfast::storage
