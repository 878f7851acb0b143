// Write sets, patches and the batches that are made of them: a set does to a map what its operations do one by one, a
// batch gives back what was encoded, and bytes that are no batch are refused.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "storage/base/check.h"
#include "storage/fold/batch_codec.h"
#include "storage/store/patch.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

using storage::KeyRange;
using storage::WriteSet;
using Entries = std::map<std::string, std::string>;

constexpr int kOperationsMax = 200;

void Remove(const KeyRange& range, Entries* entries) {
  std::erase_if(*entries, [&](const auto& entry) { return range.Contains(entry.first); });
}

// Keys are short, so that they meet.
std::string Key(Input* input) { return std::string(1 + input->Byte() % 2, static_cast<char>('a' + input->Byte() % 6)); }

void Apply(const WriteSet& writes, Entries* entries) {
  for (const KeyRange& range : writes.removed()) Remove(range, entries);
  for (const auto& [key, value] : writes.points()) {
    const auto patch = writes.patches().find(key);
    if (patch != writes.patches().end()) {
      HOLDFAST_CHECK(storage::ApplyPatch(patch->second, &(*entries)[key]), "a patch does not fit");
      HOLDFAST_CHECK((*entries)[key] == *value, "a patch makes another value");
    } else if (value) {
      (*entries)[key] = *value;
    } else {
      entries->erase(key);
    }
  }
}

// Applies what was decoded.
void Apply(const storage::BatchPart& part, Entries* entries) {
  for (const auto& [start, end] : part.removed) Remove({std::string(start), std::string(end)}, entries);
  for (const auto& [kind, key, bytes] : part.points) {
    std::string& value = (*entries)[std::string(key)];
    if (kind == storage::PointKind::kRemoved) entries->erase(std::string(key));
    if (kind == storage::PointKind::kValue) value = std::string(bytes);
    if (kind == storage::PointKind::kPatch) {
      HOLDFAST_CHECK(storage::ApplyPatch(bytes, &value), "a decoded patch does not fit");
    }
  }
}

// Runs operations on a map and on write sets over the same entries, and compares.
void CheckOperations(Input input) {
  Entries below;
  for (int i = input.Byte() % 4; i > 0; --i) below[Key(&input)] = input.Text();
  Entries expected = below;
  WriteSet whole;
  WriteSet part;
  for (int i = 0; i < kOperationsMax && !input.empty(); ++i) {
    const std::string key = Key(&input);
    switch (input.Byte() % 5) {
      case 0:
        expected[key] = input.Text();
        part.Put(key, expected[key]);
        break;
      case 1:
        expected.erase(key);
        part.Delete(key);
        break;
      case 2: {
        KeyRange range{key, input.Byte() % 4 == 0 ? "" : Key(&input)};
        if (range.IsEmpty()) break;
        Remove(range, &expected);
        part.DeleteRange(range);
        break;
      }
      case 3: {
        const auto found = expected.find(key);
        if (found == expected.end() || found->second.empty()) break;
        std::string changed = found->second;
        changed[input.Byte() % changed.size()] = static_cast<char>(input.Byte());
        if (const auto patch = storage::MakePatch(found->second, changed)) {
          part.PutChanged(key, changed, *patch);
        } else {
          part.Put(key, changed);
        }
        found->second = changed;
        break;
      }
      default:
        whole.Merge(std::move(part));
        part = WriteSet();
    }
  }
  whole.Merge(std::move(part));
  for (const auto& [key, value] : expected) {
    const std::string* found = nullptr;
    const WriteSet::Verdict verdict = whole.Find(key, &found);
    HOLDFAST_CHECK(verdict != WriteSet::Verdict::kRemoved, "a key that is there is removed");
    HOLDFAST_CHECK(verdict == WriteSet::Verdict::kUnknown ? below.at(key) == value : *found == value, "another value");
  }
  Entries applied = below;
  Apply(whole, &applied);
  HOLDFAST_CHECK(applied == expected, "a set does not do what its operations do");

  const storage::Location location{storage::FamilyId::kPacked, "prefix"};
  const storage::KeyspaceWrites writes{&location, &whole};
  std::string bytes;
  storage::EncodeBatch(
      {&writes, 1}, [](storage::FamilyId) { return std::string("own"); }, &bytes);
  const auto decoded = storage::DecodeBatch(bytes);
  HOLDFAST_CHECK(decoded.ok() && decoded->size() == 1 && decoded->front().prefix == "prefix", "no batch comes back");
  Entries replayed = below;
  Apply(decoded->front(), &replayed);
  HOLDFAST_CHECK(replayed == expected, "a batch does not do what was encoded");
}

void CheckPatches(Input input) {
  const std::string base = input.Text();
  const std::string middle = input.Text();
  const std::string value = input.Text();
  const auto first = storage::MakePatch(base, middle);
  const auto second = storage::MakePatch(middle, value);
  for (const auto& [patch, from, to] : {std::tuple(first, base, middle), std::tuple(second, middle, value)}) {
    std::string made = from;
    HOLDFAST_CHECK(!patch || (storage::ApplyPatch(*patch, &made) && made == to), "a patch makes another value");
  }
  if (first && second) {
    const auto joined = storage::JoinPatches(*first, *second, value);
    std::string made = base;
    HOLDFAST_CHECK(!joined || (storage::ApplyPatch(*joined, &made) && made == value), "joined patches make another");
  }
  std::string any = base;
  (void)storage::ApplyPatch(input.rest(), &any);
  HOLDFAST_CHECK(any.size() == base.size(), "a patch changes the length");
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  holdfast::fuzz::Input input(data, bytes);
  switch (input.Byte() % 3) {
    case 0:
      holdfast::fuzz::CheckOperations(input);
      break;
    case 1:
      holdfast::fuzz::CheckPatches(input);
      break;
    default:
      (void)holdfast::storage::DecodeBatch(input.rest());
  }
  return 0;
}
