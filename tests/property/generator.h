// Random requests to one object, made so that they meet what is there: keys of a small set, etags that are right or
// nearly so, tokens of deliveries that are out or have ended, values that bring objects and pages to their bounds.

#ifndef HOLDFAST_TESTS_PROPERTY_GENERATOR_H_
#define HOLDFAST_TESTS_PROPERTY_GENERATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/property/sql_generator.h"
#include "tests/property/world.h"
#include "tests/simulation/seed.h"

namespace holdfast::property {

// What most of a sequence's requests are about.
enum class Profile { kKeys, kSql };

class Generator {
 public:
  // Outlived by `dice`.
  Generator(simulation::Dice* dice, Profile profile) : dice_(dice), profile_(profile), sql_(dice) {}

  // `world` is what the object may be now, `tokens` are those of its deliveries, also of ended ones. A `heavy` object
  // gets large values more often. A request that changes something has an id more often than not.
  Operation Next(const std::string& object, const World& world, const std::vector<std::string>& tokens, int64_t now_us,
                 bool heavy);
  // Without an id.
  Operation Put(const std::string& object);
  // What another handler of the alarm would answer the delivery with.
  Operation Acknowledge(const std::string& object, const std::string& token, int64_t now_us);

 private:
  std::string Key();
  std::string KeyOf(const World& world);
  std::string Value(const std::string& key);
  void Fill(v1::Entry* entry);
  void FillTime(int64_t now_us, google::protobuf::Timestamp* time);
  std::string NewId();
  std::string Token(const std::vector<std::string>& tokens);

  v1::PutEntriesRequest PutRequest();
  v1::ListEntriesRequest ListRequest();
  v1::ApplyBatchRequest BatchRequest(const World& world, const std::vector<std::string>& tokens, int64_t now_us);

  // Much, which other requests leave alone, or none of it.
  Operation GrowOrShrink(const std::string& object);
  // Some of SQL, with or without a batch around it.
  Operation NextSql(const std::string& object, const World& world, const std::vector<std::string>& tokens,
                    int64_t now_us);

  simulation::Dice* const dice_;
  const Profile profile_;
  SqlGenerator sql_;
  uint64_t ids_ = 0;
  bool heavy_ = false;
};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_GENERATOR_H_
