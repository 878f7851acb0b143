#include "storage/postgres/writes.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/postgres/row_key.h"
#include "storage/store/write_set.h"

namespace holdfast::storage::postgres {
namespace {

const Statement kRemoveRanges = {
    "remove_ranges",
    "DELETE FROM hf_entry e USING unnest($1::int2[], $2::int2[], $3::bytea[], $4::bytea[]) AS t(family, shard, a, b)"
    " WHERE e.family = t.family AND e.shard = t.shard AND e.key >= t.a AND e.key < t.b"};
// A range of a family that is of no object reaches over all shards.
const Statement kRemoveInFamily = {
    "remove_in_family",
    "DELETE FROM hf_entry WHERE family = $1::int2 AND key >= $2::bytea AND ($3::bytea IS NULL OR key < $3::bytea)"};
const Statement kRemove = {"remove",
                           "DELETE FROM hf_entry e USING unnest($1::int2[], $2::int2[], $3::bytea[])"
                           " AS t(family, shard, key)"
                           " WHERE e.family = t.family AND e.shard = t.shard AND e.key = t.key"};
const Statement kPut = {"put",
                        "INSERT INTO hf_entry (family, shard, key, value)"
                        " SELECT * FROM unnest($1::int2[], $2::int2[], $3::bytea[], $4::bytea[])"
                        " ON CONFLICT (family, shard, key) DO UPDATE SET value = excluded.value"};

// Fills statements of one kind, whose parameters are arrays: family, shard, and one or two texts.
class Rowwise {
 public:
  Rowwise(const Statement& statement, bool two_texts, Connection* connection)
      : statement_(statement), two_texts_(two_texts), connection_(connection) {}

  // The first text is `prefix` and `key` in a row.
  void Add(int16_t family, int16_t shard, absl::string_view prefix, absl::string_view key, absl::string_view second) {
    families_.AddInt2(family);
    shards_.AddInt2(shard);
    first_.AddBytes(prefix, key);
    if (two_texts_) second_.AddBytes(second);
    if (first_.bytes() + second_.bytes() >= kStatementBytes) End();
  }
  void End() {
    if (families_.count() == 0) return;
    Params params;
    params.Array(&families_).Array(&shards_).Array(&first_);
    if (two_texts_) params.Array(&second_);
    connection_->Add(statement_, params);
  }

 private:
  const Statement& statement_;
  const bool two_texts_;
  Connection* const connection_;
  ArrayParam families_ = ArrayParam::OfInt2();
  ArrayParam shards_ = ArrayParam::OfInt2();
  ArrayParam first_ = ArrayParam::OfBytes();
  ArrayParam second_ = ArrayParam::OfBytes();
};

}  // namespace

absl::Status CheckWrites(absl::Span<const KeyspaceWrites> writes) {
  for (const KeyspaceWrites& part : writes) {
    if (part.location->family >= FamilyId::kFirstOwn) {
      return absl::InternalError("a commit names a dropped family: there are no families of single objects");
    }
    const size_t prefix_bytes = RowSpace(*part.location).prefix().size();
    for (const auto& [key, value] : part.writes->points()) {
      if (prefix_bytes + key.size() > kRowKeyBytesMax) {
        return absl::InvalidArgumentError(
            absl::StrCat("a key of ", key.size(), " bytes; PostgreSQL takes at most ", kRowKeyBytesMax - prefix_bytes));
      }
    }
  }
  return absl::OkStatus();
}

void AddWrites(absl::Span<const KeyspaceWrites> writes, Connection* connection) {
  std::vector<RowSpace> spaces;
  spaces.reserve(writes.size());
  for (const KeyspaceWrites& part : writes) spaces.emplace_back(*part.location);

  Rowwise ranges(kRemoveRanges, /*two_texts=*/true, connection);
  for (size_t i = 0; i < writes.size(); ++i) {
    const RowSpace& space = spaces[i];
    for (const KeyRange& range : writes[i].writes->removed()) {
      const KeyRange rows = space.RowKeys(range);
      if (space.of_one_object()) {
        ranges.Add(space.family(), space.ShardOf({}), {}, rows.start, rows.end);
        continue;
      }
      Params params;
      params.Int2(space.family()).Bytes(rows.start);
      rows.end.empty() ? params.Null() : params.Bytes(rows.end);
      connection->Add(kRemoveInFamily, params);
    }
  }
  ranges.End();
  Rowwise removes(kRemove, /*two_texts=*/false, connection);
  Rowwise puts(kPut, /*two_texts=*/true, connection);
  for (const bool put : {false, true}) {
    for (size_t i = 0; i < writes.size(); ++i) {
      const RowSpace& space = spaces[i];
      for (const auto& [key, value] : writes[i].writes->points()) {
        if (value.has_value() != put) continue;
        (put ? puts : removes).Add(space.family(), space.ShardOf(key), space.prefix(), key, put ? *value : "");
      }
    }
  }
  removes.End();
  puts.End();
}

}  // namespace holdfast::storage::postgres
