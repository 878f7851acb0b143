#include "storage/store/key_codec.h"

namespace holdfast::storage {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

void AppendBigEndian(std::string* key, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) key->push_back(static_cast<char>(value >> shift));
}

bool ConsumeBigEndian(absl::string_view* key, int bytes, uint64_t* value) {
  if (key->size() < static_cast<size_t>(bytes)) return false;
  *value = 0;
  for (int i = 0; i < bytes; ++i) *value = *value << 8 | static_cast<uint8_t>((*key)[i]);
  key->remove_prefix(bytes);
  return true;
}

}  // namespace

void AppendText(std::string* key, absl::string_view text) {
  for (char c : text) {
    key->push_back(c);
    if (c == '\0') key->push_back('\xff');
  }
  key->push_back('\0');
  key->push_back('\x01');
}

void AppendInt64(std::string* key, int64_t value) { AppendBigEndian(key, static_cast<uint64_t>(value) ^ kSignBit, 8); }

void AppendUint16(std::string* key, uint16_t value) { AppendBigEndian(key, value, 2); }

void AppendUint32(std::string* key, uint32_t value) { AppendBigEndian(key, value, 4); }

bool ConsumeText(absl::string_view* key, std::string* text) {
  text->clear();
  for (size_t i = 0; i + 1 < key->size(); ++i) {
    const char c = (*key)[i];
    if (c != '\0') {
      text->push_back(c);
      continue;
    }
    const char mark = (*key)[++i];
    if (mark == '\x01') {
      key->remove_prefix(i + 1);
      return true;
    }
    if (mark != '\xff') return false;
    text->push_back('\0');
  }
  return false;
}

bool ConsumeInt64(absl::string_view* key, int64_t* value) {
  uint64_t bits;
  if (!ConsumeBigEndian(key, 8, &bits)) return false;
  *value = static_cast<int64_t>(bits ^ kSignBit);
  return true;
}

bool ConsumeUint16(absl::string_view* key, uint16_t* value) {
  uint64_t bits;
  if (!ConsumeBigEndian(key, 2, &bits)) return false;
  *value = static_cast<uint16_t>(bits);
  return true;
}

bool ConsumeUint32(absl::string_view* key, uint32_t* value) {
  uint64_t bits;
  if (!ConsumeBigEndian(key, 4, &bits)) return false;
  *value = static_cast<uint32_t>(bits);
  return true;
}

std::string PrefixEnd(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (end.back() != '\xff') {
      end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return end;
}

}  // namespace holdfast::storage
