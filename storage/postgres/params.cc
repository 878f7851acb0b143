#include "storage/postgres/params.h"

namespace holdfast::storage::postgres {
namespace {

// The dimensions, the flag of nulls, the type, the length and the first index of an array.
constexpr size_t kArrayHeaderBytes = 5 * sizeof(uint32_t);

void AppendBigEndian(uint64_t value, size_t bytes, std::string* out) {
  for (size_t i = bytes; i > 0; --i) out->push_back(static_cast<char>(value >> (8 * (i - 1))));
}

std::string BigEndian(uint64_t value, size_t bytes) {
  std::string out;
  AppendBigEndian(value, bytes, &out);
  return out;
}

}  // namespace

void ArrayParam::Clear() {
  count_ = 0;
  bytes_.assign(kArrayHeaderBytes, '\0');
}

void ArrayParam::AddInt2(int16_t value) {
  AppendBigEndian(sizeof(value), sizeof(uint32_t), &bytes_);
  AppendBigEndian(static_cast<uint16_t>(value), sizeof(value), &bytes_);
  ++count_;
}

void ArrayParam::AddInt8(int64_t value) {
  AppendBigEndian(sizeof(value), sizeof(uint32_t), &bytes_);
  AppendBigEndian(static_cast<uint64_t>(value), sizeof(value), &bytes_);
  ++count_;
}

void ArrayParam::AddBytes(absl::string_view first, absl::string_view second) {
  AppendBigEndian(first.size() + second.size(), sizeof(uint32_t), &bytes_);
  bytes_.append(first.data(), first.size());
  bytes_.append(second.data(), second.size());
  ++count_;
}

std::string ArrayParam::Take() {
  // An array without elements has no dimension.
  std::string header;
  AppendBigEndian(count_ == 0 ? 0 : 1, sizeof(uint32_t), &header);
  AppendBigEndian(0, sizeof(uint32_t), &header);
  AppendBigEndian(element_type_, sizeof(uint32_t), &header);
  if (count_ > 0) {
    AppendBigEndian(count_, sizeof(uint32_t), &header);
    AppendBigEndian(1, sizeof(uint32_t), &header);
  }
  std::string taken = std::exchange(bytes_, std::string());
  taken.replace(0, kArrayHeaderBytes, header);
  Clear();
  return taken;
}

Params& Params::Add(std::string value) {
  values_.push_back(std::move(value));
  pointers_.push_back(values_.back().data());
  lengths_.push_back(static_cast<int>(values_.back().size()));
  formats_.push_back(1);
  return *this;
}

Params& Params::Int2(int16_t value) { return Add(BigEndian(static_cast<uint16_t>(value), sizeof(value))); }
Params& Params::Int4(int32_t value) { return Add(BigEndian(static_cast<uint32_t>(value), sizeof(value))); }
Params& Params::Int8(int64_t value) { return Add(BigEndian(static_cast<uint64_t>(value), sizeof(value))); }
Params& Params::Bytes(absl::string_view value) { return Add(std::string(value)); }
Params& Params::Array(ArrayParam* array) { return Add(array->Take()); }
Params& Params::Null() {
  Add({});
  pointers_.back() = nullptr;
  return *this;
}

}  // namespace holdfast::storage::postgres
