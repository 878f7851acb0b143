// Keys: what is encoded comes back, in the order of the tuples; and nothing that is stored can break a reader of keys.

#include "storage/store/key_codec.h"

#include <cstdint>
#include <string>
#include <tuple>

#include "storage/base/check.h"
#include "storage/node/alarm_index.h"
#include "storage/node/families.h"
#include "storage/store/object_id.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

using Tuple = std::tuple<std::string, int64_t, std::string, uint16_t>;

Tuple Take(Input* input) {
  std::string first = input->Text();
  const int64_t number = input->Number();
  std::string second = input->Text();
  return {std::move(first), number, std::move(second), static_cast<uint16_t>(input->Below(1 << 16))};
}

std::string Encode(const Tuple& tuple) {
  std::string key;
  storage::AppendText(&key, std::get<0>(tuple));
  storage::AppendInt64(&key, std::get<1>(tuple));
  storage::AppendText(&key, std::get<2>(tuple));
  storage::AppendUint16(&key, std::get<3>(tuple));
  return key;
}

void CheckTuples(Input input) {
  const Tuple a = Take(&input);
  const Tuple b = Take(&input);
  const std::string key = Encode(a);
  HOLDFAST_CHECK((key < Encode(b)) == (a < b), "the order of keys is not that of the tuples");
  HOLDFAST_CHECK((key == Encode(b)) == (a == b), "two tuples have one key");
  absl::string_view rest = key;
  Tuple read;
  const bool whole =
      storage::ConsumeText(&rest, &std::get<0>(read)) && storage::ConsumeInt64(&rest, &std::get<1>(read)) &&
      storage::ConsumeText(&rest, &std::get<2>(read)) && storage::ConsumeUint16(&rest, &std::get<3>(read));
  HOLDFAST_CHECK(whole && rest.empty() && read == a, "a key gives back another tuple");
  const std::string end = storage::PrefixEnd(key);
  HOLDFAST_CHECK(end.empty() || (key < end && key + "\xff" < end), "a prefix does not end behind its keys");
}

void CheckIds(Input input) {
  const storage::ObjectId id{input.Text(), input.Text(), input.Text()};
  const storage::ObjectKey key(id.ns, id.object_class, id.name);
  storage::ObjectId read;
  HOLDFAST_CHECK(key.Decode(&read) && read.ns == id.ns && read.object_class == id.object_class && read.name == id.name,
                 "an id gives back another one");
  const auto generation = static_cast<uint64_t>(input.Number());
  const std::string name = storage::FamilyName(id, generation);
  uint64_t read_generation = 0;
  HOLDFAST_CHECK(
      storage::ParseFamilyName(name, &read, &read_generation) && read_generation == generation && read.name == id.name,
      "a family's name gives back another object");
}

// Bytes that nobody has encoded.
void ReadAny(absl::string_view bytes) {
  absl::string_view rest = bytes;
  std::string text;
  while (storage::ConsumeText(&rest, &text)) {
    std::string again;
    storage::AppendText(&again, text);
    HOLDFAST_CHECK(absl::string_view(bytes).substr(bytes.size() - rest.size() - again.size(), again.size()) == again,
                   "two encodings of one text");
  }
  storage::ObjectId id;
  const auto key = storage::ObjectKey::FromEncoded(std::string(bytes));
  if (key.Decode(&id)) {
    HOLDFAST_CHECK(storage::ObjectKey(id.ns, id.object_class, id.name).encoded() == bytes, "two encodings of one id");
  }
  (void)key.DebugString();
  uint64_t generation;
  (void)storage::ParseFamilyName(bytes, &id, &generation);
  storage::AlarmEntry entry;
  (void)storage::ParseAlarmIndexKey(bytes, &entry);
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  holdfast::fuzz::Input input(data, bytes);
  switch (input.Byte() % 3) {
    case 0:
      holdfast::fuzz::CheckTuples(input);
      break;
    case 1:
      holdfast::fuzz::CheckIds(input);
      break;
    default:
      holdfast::fuzz::ReadAny(input.rest());
  }
  return 0;
}
