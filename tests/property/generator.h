// Random requests to one object, which often meet its contents: keys of a small set, etags that are right or nearly so,
// tokens of deliveries that are out or have ended, values that bring objects and pages to their bounds.

#ifndef HOLDFAST_TESTS_PROPERTY_GENERATOR_H_
#define HOLDFAST_TESTS_PROPERTY_GENERATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/property/sql_generator.h"
#include "tests/property/world.h"
#include "tests/simulation/seed.h"

namespace holdfast::property {

// The subject of most requests of a sequence.
enum class Profile { kKeys, kSql };

class Generator {
 public:
  // `dice` must outlive the generator.
  Generator(simulation::Dice* dice, Profile profile) : dice_(dice), profile_(profile), sql_(dice) {}

  // `world` is a possible state of the object; `tokens` are those of its deliveries, ended ones too. A `heavy` object
  // gets large values more often. A request that changes something has an id more often than not.
  Operation Next(const std::string& object, const World& world, const std::vector<std::string>& tokens, int64_t now_us,
                 bool heavy);
  // Returns a put without a request id.
  Operation Put(const std::string& object);
  // Returns another alarm handler's answer to the delivery.
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

  // Puts much data, which other requests leave alone, or deletes it.
  Operation GrowOrShrink(const std::string& object);
  // Returns a request with SQL, with or without a batch around it.
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
