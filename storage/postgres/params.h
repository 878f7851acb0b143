// The parameters of one statement, in PostgreSQL's binary format. Parameters are always bound, never written into the
// text of a statement; the text casts each of them to its type ($1::int8).

#ifndef HOLDFAST_STORAGE_POSTGRES_PARAMS_H_
#define HOLDFAST_STORAGE_POSTGRES_PARAMS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::storage::postgres {

// An array of one dimension without nulls.
class ArrayParam {
 public:
  static ArrayParam OfInt2() { return ArrayParam(kInt2Oid); }
  static ArrayParam OfInt8() { return ArrayParam(kInt8Oid); }
  static ArrayParam OfBytes() { return ArrayParam(kBytesOid); }

  void AddInt2(int16_t value);
  void AddInt8(int64_t value);
  void AddBytes(absl::string_view value) { AddBytes(value, {}); }
  // Adds one value, which is `first` and `second` in a row.
  void AddBytes(absl::string_view first, absl::string_view second);

  size_t count() const { return count_; }
  size_t bytes() const { return bytes_.size(); }
  // Returns the bytes of the parameter; the array is then empty.
  std::string Take();

 private:
  // Object ids of PostgreSQL's types, which never change.
  static constexpr uint32_t kInt2Oid = 21;
  static constexpr uint32_t kInt8Oid = 20;
  static constexpr uint32_t kBytesOid = 17;

  explicit ArrayParam(uint32_t element_type) : element_type_(element_type) { Clear(); }
  void Clear();

  uint32_t element_type_;
  uint32_t count_ = 0;
  std::string bytes_;
};

class Params {
 public:
  Params& Int2(int16_t value);
  Params& Int4(int32_t value);
  Params& Int8(int64_t value);
  // Text, bytea and uuid.
  Params& Bytes(absl::string_view value);
  Params& Null();
  Params& Array(ArrayParam* array);

  int count() const { return static_cast<int>(values_.size()); }
  // These three are as libpq takes them, and valid until the next call of a method.
  const char* const* values() const { return pointers_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  Params& Add(std::string value);

  std::deque<std::string> values_;
  std::vector<const char*> pointers_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_PARAMS_H_
