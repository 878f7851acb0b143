// Records: Protobuf messages under memcomparable primary keys, in the object's keyspace, with secondary indexes.
//
// A spec says how the keys of a row are made; a table is that spec over one object's storage. Rows come back in the
// order of their primary keys, or of an index. All writes belong to the turn.
//
//   row     kRowKind    table(2)           primary key  ->  the row, serialised
//   index   kIndexKind  table(2) index(2)  index key  primary key  ->  primary key
//
// Errors: DATA_LOSS if a stored row cannot be read. Threading: as ObjectStorage.

#ifndef HOLDFAST_STORAGE_OBJECT_TABLE_H_
#define HOLDFAST_STORAGE_OBJECT_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/object/object_storage.h"
#include "storage/object/operation.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {

// Appends a row's key; made of the Append functions of storage/store/key_codec.h.
template <typename Row>
using KeyFunction = void (*)(const Row& row, std::string* key);

template <typename Row>
struct IndexSpec {
  uint16_t id;
  KeyFunction<Row> append_key;
};

template <typename Row>
struct TableSpec {
  uint16_t id;  // unique among the class's tables, and never used again for another one
  KeyFunction<Row> append_primary_key;
  std::vector<IndexSpec<Row>> indexes = {};
};

struct ScanOptions {
  bool reverse = false;
  size_t rows_max = SIZE_MAX;
  // The scan ends after the row with which the rows reach this many bytes.
  size_t bytes_max = SIZE_MAX;
};

template <typename Row>
class Table {
 public:
  // Both must outlive the table.
  Table(ObjectStorage* storage, const TableSpec<Row>* spec) : storage_(storage), spec_(spec) {}

  std::string PrimaryKey(const Row& row) const {
    std::string key;
    spec_->append_primary_key(row, &key);
    return key;
  }

  StorageOp<std::optional<Row>> Get(absl::string_view primary_key) const {
    const std::string key = RowKey(primary_key);
    return {storage_, KeyRange::Single(key), [key](View& view) { return ReadRow(view, key); }};
  }

  // Writes a new row. ALREADY_EXISTS, with nothing written, if there is a row with its primary key.
  StorageOp<bool> Insert(const Row& row) {
    const std::string key = RowKey(PrimaryKey(row));
    return {storage_, KeyRange::Single(key),
            [key](View& view) -> absl::StatusOr<bool> {
              auto value = view.Get(key);
              if (!value.ok()) return value.status();
              return value->has_value();
            },
            [this, row](bool& exists) {
              if (exists) return absl::AlreadyExistsError("a row with this primary key exists");
              Write(row, nullptr);
              return absl::OkStatus();
            }};
  }

  // Writes the row, and returns the row with its primary key that it replaces, if there is one.
  StorageOp<std::optional<Row>> Replace(const Row& row) {
    const std::string key = RowKey(PrimaryKey(row));
    return {storage_, KeyRange::Single(key), [key](View& view) { return ReadRow(view, key); },
            [this, row](std::optional<Row>& old) {
              Write(row, old ? &*old : nullptr);
              return absl::OkStatus();
            }};
  }

  // Writes the row without a read: `old` is the row that it replaces, or null if there is none.
  void Write(const Row& row, const Row* old) {
    const std::string primary_key = PrimaryKey(row);
    for (const IndexSpec<Row>& index : spec_->indexes) {
      const std::string key = IndexKey(index, row, primary_key);
      if (old != nullptr) {
        const std::string old_key = IndexKey(index, *old, primary_key);
        if (old_key == key) continue;
        storage_->writes().Delete(old_key);
        Count(0, -static_cast<int64_t>(old_key.size() + primary_key.size()));
      }
      storage_->writes().Put(key, primary_key);
      Count(0, static_cast<int64_t>(key.size() + primary_key.size()));
    }
    std::string row_key = RowKey(primary_key);
    std::string value = row.SerializeAsString();
    if (old == nullptr) {
      Count(1, static_cast<int64_t>(row_key.size() + value.size()));
    } else {
      Count(0, static_cast<int64_t>(value.size()) - static_cast<int64_t>(old->ByteSizeLong()));
    }
    storage_->writes().Put(row_key, std::move(value));
  }

  // Removes a row, and returns whether there was one.
  StorageOp<bool> Delete(absl::string_view primary_key) {
    const std::string key = RowKey(primary_key);
    auto old = std::make_shared<std::optional<Row>>();
    return {storage_, KeyRange::Single(key),
            [key, old](View& view) -> absl::StatusOr<bool> {
              auto row = ReadRow(view, key);
              if (!row.ok()) return row.status();
              *old = *std::move(row);
              return old->has_value();
            },
            [this, old](bool&) {
              if (*old) Erase(**old);
              return absl::OkStatus();
            }};
  }

  // Removes a row that is there, without a read.
  void Erase(const Row& row) {
    const std::string primary_key = PrimaryKey(row);
    for (const IndexSpec<Row>& index : spec_->indexes) {
      const std::string key = IndexKey(index, row, primary_key);
      storage_->writes().Delete(key);
      Count(0, -static_cast<int64_t>(key.size() + primary_key.size()));
    }
    const std::string row_key = RowKey(primary_key);
    storage_->writes().Delete(row_key);
    Count(-1, -static_cast<int64_t>(row_key.size() + row.ByteSizeLong()));
  }

  // Removes the rows whose primary keys are in the range, and returns how many there were.
  StorageOp<int64_t> DeleteRange(const KeyRange& primary_keys) {
    const KeyRange range = RowRange(primary_keys);
    auto rows = std::make_shared<std::vector<Row>>();
    return {storage_, range,
            [range, rows](View& view) -> absl::StatusOr<int64_t> {
              rows->clear();
              absl::Status status = ScanRows(view, range, {}, rows.get());
              if (!status.ok()) return status;
              return static_cast<int64_t>(rows->size());
            },
            [this, range, rows](int64_t&) {
              if (spec_->indexes.empty() && rows->size() > kEraseOneByOneMax) {
                storage_->writes().DeleteRange(range);
                for (const Row& row : *rows) {
                  Count(-1, -static_cast<int64_t>(RowKey(PrimaryKey(row)).size() + row.ByteSizeLong()));
                }
                return absl::OkStatus();
              }
              for (const Row& row : *rows) Erase(row);
              return absl::OkStatus();
            }};
  }

  StorageOp<int64_t> Count(const KeyRange& primary_keys) const {
    const KeyRange range = RowRange(primary_keys);
    return {storage_, range, [range](View& view) -> absl::StatusOr<int64_t> {
              int64_t count = 0;
              absl::Status status = view.Scan(range, false, [&](absl::string_view, absl::string_view) {
                ++count;
                return true;
              });
              if (!status.ok()) return status;
              return count;
            }};
  }

  StorageOp<std::vector<Row>> Scan(const KeyRange& primary_keys, ScanOptions options = {}) const {
    const KeyRange range = RowRange(primary_keys);
    return {storage_, range, [range, options](View& view) -> absl::StatusOr<std::vector<Row>> {
              std::vector<Row> rows;
              absl::Status status = ScanRows(view, range, options, &rows);
              if (!status.ok()) return status;
              return rows;
            }};
  }

  // Scans one range after the other in one read, each with these options, and returns the rows of each. Once there are
  // `rows_max` rows of all together the scan ends, and the ranges behind have no rows.
  StorageOp<std::vector<std::vector<Row>>> ScanEach(const std::vector<KeyRange>& primary_keys, ScanOptions options,
                                                    size_t rows_max) const {
    std::vector<KeyRange> ranges;
    ranges.reserve(primary_keys.size());
    for (const KeyRange& keys : primary_keys) ranges.push_back(RowRange(keys));
    return {storage_, RowRange(KeyRange::All()),
            [ranges, options, rows_max](View& view) -> absl::StatusOr<std::vector<std::vector<Row>>> {
              std::vector<std::vector<Row>> rows(ranges.size());
              size_t left = rows_max;
              for (size_t i = 0; i < ranges.size() && !view.needs_disk(); ++i) {
                ScanOptions one = options;
                one.rows_max = std::min(options.rows_max, left);
                absl::Status status = ScanRows(view, ranges[i], one, &rows[i]);
                if (!status.ok()) return status;
                left -= rows[i].size();
              }
              return rows;
            }};
  }

  // Returns the rows whose keys in that index are in the range, in the order of the index.
  StorageOp<std::vector<Row>> ScanIndex(uint16_t index, const KeyRange& index_keys, size_t rows_max) const {
    const KeyRange range = WithPrefix(IndexPrefix(index), index_keys);
    return {storage_, KeyRange::All(),
            [range, rows_max, row_prefix = RowKey("")](View& view) -> absl::StatusOr<std::vector<Row>> {
              if (rows_max == 0) return std::vector<Row>();
              std::vector<std::string> primary_keys;
              absl::Status status = view.Scan(range, false, [&](absl::string_view, absl::string_view primary_key) {
                primary_keys.emplace_back(primary_key);
                return primary_keys.size() < rows_max;
              });
              std::vector<Row> rows;
              for (const std::string& primary_key : primary_keys) {
                if (!status.ok() || view.needs_disk()) break;
                auto row = ReadRow(view, absl::StrCat(row_prefix, primary_key));
                status = row.status();
                if (row.ok() && *row) rows.push_back(*std::move(*row));
              }
              if (!status.ok()) return status;
              return rows;
            }};
  }

 private:
  // A removed range costs every later read in the family; a few single removals do not.
  static constexpr size_t kEraseOneByOneMax = 1000;

  std::string RowKey(absl::string_view primary_key) const {
    std::string key(1, kRowKind);
    AppendUint16(&key, spec_->id);
    absl::StrAppend(&key, primary_key);
    return key;
  }
  std::string IndexPrefix(uint16_t index) const {
    std::string key(1, kIndexKind);
    AppendUint16(&key, spec_->id);
    AppendUint16(&key, index);
    return key;
  }
  std::string IndexKey(const IndexSpec<Row>& index, const Row& row, absl::string_view primary_key) const {
    std::string key = IndexPrefix(index.id);
    index.append_key(row, &key);
    absl::StrAppend(&key, primary_key);
    return key;
  }
  static KeyRange WithPrefix(const std::string& prefix, const KeyRange& range) {
    return {prefix + range.start, range.end.empty() ? PrefixEnd(prefix) : prefix + range.end};
  }
  KeyRange RowRange(const KeyRange& primary_keys) const { return WithPrefix(RowKey(""), primary_keys); }

  static absl::StatusOr<std::optional<Row>> ReadRow(View& view, absl::string_view key) {
    auto value = view.Get(key);
    if (!value.ok()) return value.status();
    if (!*value) return std::nullopt;
    Row row;
    if (!row.ParseFromString(**value)) return absl::DataLossError("a stored row is garbled");
    return row;
  }

  static absl::Status ScanRows(View& view, const KeyRange& range, const ScanOptions& options, std::vector<Row>* rows) {
    if (options.rows_max == 0) return absl::OkStatus();
    size_t bytes = 0;
    bool garbled = false;
    absl::Status status = view.Scan(range, options.reverse, [&](absl::string_view, absl::string_view value) {
      garbled = !rows->emplace_back().ParseFromArray(value.data(), static_cast<int>(value.size()));
      bytes += value.size();
      return !garbled && rows->size() < options.rows_max && bytes < options.bytes_max;
    });
    return garbled ? absl::DataLossError("a stored row is garbled") : status;
  }

  void Count(int64_t rows, int64_t bytes) {
    UsageChange& usage = storage_->usage();
    usage.size_bytes += bytes;
    if (rows != 0) usage.rows[spec_->id] += rows;
  }

  ObjectStorage* const storage_;
  const TableSpec<Row>* const spec_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_TABLE_H_
