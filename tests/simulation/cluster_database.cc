#include "tests/simulation/cluster_database.h"

#include <libpq-fe.h>

#include <algorithm>
#include <limits>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::simulation {
namespace {

using storage::FamilyId;
using storage::postgres::Rows;
using storage::postgres::TripResult;

// A division by zero.
constexpr char kFenced[] = "22012";
constexpr FamilyId kFamilies[] = {FamilyId::kNode, FamilyId::kCatalog, FamilyId::kAlarms, FamilyId::kPacked,
                                  FamilyId::kRequests};

// --- Parameters

int64_t NumberIn(absl::string_view bytes) {
  uint64_t value = !bytes.empty() && static_cast<signed char>(bytes[0]) < 0 ? ~uint64_t{0} : 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return static_cast<int64_t>(value);
}

int64_t Int(const Command& command, size_t number) { return NumberIn(*command.params[number - 1]); }
const std::string& Text(const Command& command, size_t number) { return *command.params[number - 1]; }

std::vector<absl::string_view> Array(const Command& command, size_t number) {
  constexpr size_t kInt = 4;
  absl::string_view bytes = Text(command, number);
  std::vector<absl::string_view> elements;
  if (NumberIn(bytes.substr(0, kInt)) == 0) return elements;
  bytes.remove_prefix(5 * kInt);
  while (!bytes.empty()) {
    const auto size = static_cast<size_t>(NumberIn(bytes.substr(0, kInt)));
    elements.push_back(bytes.substr(kInt, size));
    bytes.remove_prefix(kInt + size);
  }
  return elements;
}

std::vector<int64_t> Ints(const Command& command, size_t number) {
  std::vector<int64_t> ints;
  for (absl::string_view element : Array(command, number)) ints.push_back(NumberIn(element));
  return ints;
}

// --- Results

class Result {
 public:
  explicit Result(int columns) : result_(PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK)) {
    std::vector<PGresAttDesc> attributes(static_cast<size_t>(columns));
    for (PGresAttDesc& attribute : attributes) {
      attribute = {};
      attribute.name = name_;
      attribute.format = 1;
    }
    if (columns > 0) PQsetResultAttrs(result_, columns, attributes.data());
  }

  Result& Row() {
    ++row_;
    column_ = 0;
    return *this;
  }
  Result& Int(int64_t value) {
    char bytes[sizeof(value)];
    for (size_t i = 0; i < sizeof(value); ++i) {
      bytes[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * (sizeof(value) - 1 - i)));
    }
    return Bytes({bytes, sizeof(bytes)});
  }
  Result& Bool(bool value) { return Bytes({value ? "\1" : "\0", 1}); }
  Result& Bytes(absl::string_view value) {
    PQsetvalue(result_, row_, column_++, const_cast<char*>(value.data()), static_cast<int>(value.size()));
    return *this;
  }
  Result& Null() {
    PQsetvalue(result_, row_, column_++, nullptr, -1);
    return *this;
  }
  Rows Take() { return Rows(result_); }

 private:
  char name_[2] = "c";
  PGresult* const result_;
  int row_ = -1;
  int column_ = 0;
};

Rows NoRows() { return Result(0).Take(); }

bool IsWrite(absl::string_view name) {
  static const auto* const kWrites = new absl::flat_hash_set<absl::string_view>{"fence",
                                                                                "no_fence",
                                                                                "resolve",
                                                                                "claim",
                                                                                "beat",
                                                                                "mark_cluster",
                                                                                "make_writers",
                                                                                "remove_writers",
                                                                                "touch",
                                                                                "move_shards",
                                                                                "set_state",
                                                                                "remove_ownerless",
                                                                                "remove_logs",
                                                                                "free_shards",
                                                                                "leave",
                                                                                "append",
                                                                                "trim",
                                                                                "remove_ranges",
                                                                                "remove_in_family",
                                                                                "remove",
                                                                                "put"};
  return kWrites->contains(name);
}

}  // namespace

// Rows are committed together, at the end. The rows of writers are put back if the transaction fails.
struct DatabaseServer::Transaction {
  std::map<FamilyId, storage::WriteSet> rows;
  std::optional<std::map<int64_t, WriterRow>> writers_before;
  bool moves = false;  // it has a move of shards
  Session* session = nullptr;
};

DatabaseServer::DatabaseServer(ClusterBroken broken) : broken_(broken) {}

DatabaseServer::DatabaseServer(const DatabaseServer& other)
    : broken_(other.broken_),
      writers_(other.writers_),
      next_writer_(other.next_writer_),
      mark_(other.mark_),
      shards_(other.shards_),
      log_(other.log_) {
  for (FamilyId family : kFamilies) {
    const storage::Location location = storage::WholeFamily(family);
    storage::WriteSet writes;
    const auto cursor = const_cast<storage::MemoryStore&>(other.rows_)
                            .NewCursor(location, storage::KeyRange::All(), storage::ReadTier::kDisk);
    for (cursor->SeekToFirst(); cursor->state() == storage::ReadResult::kFound; cursor->Next()) {
      writes.Put(cursor->key(), std::string(cursor->value()));
    }
    const storage::KeyspaceWrites part{&location, &writes};
    HOLDFAST_CHECK(rows_.CommitSync({&part, 1}).ok(), "a commit in memory");
  }
}

bool DatabaseServer::Writes(const std::vector<Command>& commands) const {
  return absl::c_any_of(commands, [this](const Command& command) {
    if (broken_ == ClusterBroken::kResolveByRead && command.name == "resolve") return false;
    return IsWrite(command.name);
  });
}

TripResult DatabaseServer::Execute(const std::vector<Command>& commands, Session* session) {
  Transaction transaction;
  transaction.session = session;
  transaction.moves = absl::c_any_of(commands, [](const Command& command) { return command.name == "move_shards"; });
  TripResult result;
  for (const Command& command : commands) {
    std::optional<Rows> rows = Run(command, &transaction);
    if (!rows) {
      if (transaction.writers_before) writers_ = *std::move(transaction.writers_before);
      result.rows.clear();
      result.kind = TripResult::Kind::kError;
      result.sqlstate = kFenced;
      result.message = "division by zero";
      return result;
    }
    result.rows.push_back(*std::move(rows));
  }
  CommitRows(&transaction);
  return result;
}

std::optional<Rows> DatabaseServer::Run(const Command& command, Transaction* transaction) {
  const std::string& name = command.name;
  if (name == "fence" || name == "no_fence") return Fence(command, transaction);
  if (name == "append") {
    log_[{Int(command, 1), Int(command, 2)}] = Text(command, 3);
    return NoRows();
  }
  if (name == "put" || name == "remove" || name == "remove_ranges" || name == "remove_in_family") {
    AddRows(command, transaction);
    return NoRows();
  }
  if (name == "trim") {
    log_.erase(log_.lower_bound({Int(command, 1), 0}), log_.upper_bound({Int(command, 1), Int(command, 2)}));
    return NoRows();
  }
  if (name == "known" || name == "known_and_owned") {
    const auto row = writers_.find(Int(command, 1));
    const bool known = row != writers_.end() && row->second.epoch >= Int(command, 2) &&
                       row->second.batch >= Int(command, 3) && row->second.beat >= Int(command, 4);
    if (!known && broken_ != ClusterBroken::kLoadFromReplaced) return std::nullopt;
    Result result(2);
    result.Row().Int(1);
    if (name == "known_and_owned") {
      const ShardRow& shard = shards_[static_cast<size_t>(Int(command, 5))];
      result.Bool(broken_ == ClusterBroken::kLoadFromReplaced || shard.writer == Int(command, 6));
    }
    return result.Take();
  }
  if (absl::StartsWith(name, "page_")) return Page(command, transaction->session);
  if (name == "get") {
    Result result(1);
    std::string value;
    absl::Status error;
    const storage::Location location = storage::WholeFamily(static_cast<FamilyId>(Int(command, 1)));
    if (rows_.Get(location, Text(command, 3), storage::ReadTier::kDisk, &value, &error) ==
        storage::ReadResult::kFound) {
      result.Row().Bytes(value);
    }
    return result.Take();
  }
  if (name == "read_log") {
    Result result(2);
    if (broken_ == ClusterBroken::kLogNotWrittenBack) return result.Take();
    int64_t left = Int(command, 3);
    for (auto batch = log_.upper_bound({Int(command, 1), Int(command, 2)});
         batch != log_.end() && batch->first.first == Int(command, 1) && left > 0; ++batch, --left) {
      result.Row().Int(batch->first.second).Bytes(batch->second);
    }
    return result.Take();
  }
  if (name == "begin_snapshot") {
    for (FamilyId family : kFamilies) {
      transaction->session->snapshot[family] =
          rows_.NewCursor(storage::WholeFamily(family), storage::KeyRange::All(), storage::ReadTier::kDisk);
    }
    return NoRows();
  }
  if (name == "end_snapshot") {
    transaction->session->snapshot.clear();
    return NoRows();
  }
  if (name == "see_writers") {
    Result result(10);
    for (const auto& [id, row] : writers_) {
      result.Row().Int(id).Int(row.lane).Int(row.epoch).Int(row.batch).Int(row.beat);
      row.owner ? result.Bytes(*row.owner) : result.Null();
      const int64_t lease_ms = broken_ == ClusterBroken::kTakeOverEarly ? row.lease_ms / 3 : row.lease_ms;
      result.Int(row.state).Bytes(row.node).Bytes(row.address).Int(lease_ms);
    }
    return result.Take();
  }
  if (name == "see_shards") {
    Result result(3);
    for (size_t i = 0; i < shards_.size(); ++i) {
      result.Row().Int(static_cast<int64_t>(i)).Int(shards_[i].writer.value_or(0)).Int(shards_[i].epoch);
    }
    return result.Take();
  }
  if (name == "see_loads") {
    Result result(2);
    const auto cursor = rows_.NewCursor(storage::WholeFamily(FamilyId::kNode),
                                        storage::KeyRange::Prefix(storage::kShardLoadPrefix), storage::ReadTier::kDisk);
    for (cursor->SeekToFirst(); cursor->state() == storage::ReadResult::kFound; cursor->Next()) {
      result.Row().Bytes(cursor->key()).Bytes(cursor->value());
    }
    return result.Take();
  }
  if (name == "beat") return Beat(command);
  if (name == "owned") {
    Result result(3);
    for (int64_t id : Ints(command, 1)) {
      const auto row = writers_.find(id);
      if (row == writers_.end()) continue;
      result.Row().Int(id).Bool(row->second.owner == Text(command, 2)).Bytes(row->second.node);
    }
    return result.Take();
  }
  if (name == "resolve") return Resolve(command);
  if (name == "look") {
    Result result(3);
    const auto row = writers_.find(Int(command, 1));
    if (row != writers_.end()) result.Row().Int(row->second.epoch).Int(row->second.batch).Bytes(row->second.node);
    return result.Take();
  }
  if (name == "claim") return Claim(command, transaction);
  if (name == "move_shards") {
    MoveShards(command);
    return NoRows();
  }
  if (name == "set_state") {
    const auto row = writers_.find(Int(command, 1));
    if (row != writers_.end()) row->second.state = Int(command, 2);
    return NoRows();
  }
  if (name == "remove_ownerless") {
    for (int64_t id : Ints(command, 1)) {
      const auto row = writers_.find(id);
      const bool used = absl::c_any_of(shards_, [id](const ShardRow& shard) { return shard.writer == id; });
      if (row != writers_.end() && !row->second.owner && !used) writers_.erase(row);
    }
    return NoRows();
  }
  if (name == "unfolded") return Result(1).Row().Int(Unfolded(command)).Take();
  if (name == "remove_logs") {
    for (int64_t id : Ints(command, 1)) log_.erase(log_.lower_bound({id, 0}), log_.lower_bound({id + 1, 0}));
    return NoRows();
  }
  if (name == "free_shards") {
    const std::vector<int64_t> ids = Ints(command, 1);
    for (ShardRow& shard : shards_) {
      if (!shard.writer || !absl::c_linear_search(ids, *shard.writer)) continue;
      shard.writer.reset();
      ++shard.epoch;
    }
    return NoRows();
  }
  if (name == "leave") {
    for (auto& [id, row] : writers_) {
      if (row.owner != Text(command, 1)) continue;
      ++row.epoch;
      row.owner.reset();
    }
    return NoRows();
  }
  if (name == "mark_cluster") {
    if (!absl::c_any_of(writers_, [](const auto& row) { return row.second.owner.has_value(); })) {
      mark_ = Text(command, 1);
    }
    return Result(1).Row().Bool(mark_ == Text(command, 1)).Take();
  }
  if (name == "make_writers") return MakeWriters(command);
  if (name == "remove_writers") {
    std::erase_if(writers_, [&](const auto& row) { return row.second.owner == Text(command, 1); });
    return NoRows();
  }
  if (name == "clock") return Result(1).Row().Int(clock_us_).Take();
  if (name == "touch") return Result(1).Row().Int(1).Take();
  if (name == "has_meta") return Result(1).Row().Bool(true).Take();
  if (name == "get_meta") {
    return Result(5).Row().Bytes("2").Bytes(absl::StrCat(storage::kShardCount)).Bytes("sim").Bytes("").Bytes("").Take();
  }
  if (name == "settings") {
    return Result(6).Row().Bytes("on").Bytes("on").Bytes("on").Bool(false).Int(150'000).Bytes("UTF8").Take();
  }
  if (name == "backend") return Result(1).Row().Int(1).Take();
  // These change nothing here: locks, and the settings of a session.
  HOLDFAST_CHECK(name == "set" || name == "lock_timeout" || name == "lock_join", name);
  return NoRows();
}

// --- Writers

std::optional<Rows> DatabaseServer::Fence(const Command& command, Transaction* transaction) {
  const auto row = writers_.find(Int(command, 1));
  if (row == writers_.end()) return std::nullopt;
  const int64_t batch = Int(command, 2);
  const bool follows = row->second.batch == batch - 1;
  const bool owned = row->second.epoch == Int(command, 3) && row->second.owner == Text(command, 4);
  const bool unfenced = command.name == "no_fence" || broken_ == ClusterBroken::kCommitUnfenced ||
                        (broken_ == ClusterBroken::kGiveUnfenced && transaction->moves);
  if (!unfenced && (!follows || (!owned && broken_ != ClusterBroken::kEpochUnchecked))) return std::nullopt;
  row->second.batch = batch;
  return Result(1).Row().Int(1).Take();
}

Rows DatabaseServer::Resolve(const Command& command) {
  Result result(2);
  const auto row = writers_.find(Int(command, 1));
  if (row == writers_.end() || row->second.owner != Text(command, 2)) return result.Take();
  if (broken_ != ClusterBroken::kResolveByRead) {
    row->second.epoch = std::max(row->second.epoch, Int(command, 3)) + 1;
    ++row->second.beat;
  }
  return result.Row().Int(row->second.epoch).Int(row->second.batch).Take();
}

Rows DatabaseServer::Beat(const Command& command) {
  Result result(3);
  for (int64_t id : Ints(command, 1)) {
    const auto row = writers_.find(id);
    if (row == writers_.end() || row->second.owner != Text(command, 2)) continue;
    ++row->second.beat;
    result.Row().Int(id).Int(row->second.batch).Int(row->second.beat);
  }
  return result.Take();
}

std::optional<Rows> DatabaseServer::Claim(const Command& command, Transaction* transaction) {
  const auto row = writers_.find(Int(command, 1));
  if (row == writers_.end()) return std::nullopt;
  WriterRow& writer = row->second;
  const bool same = writer.epoch == Int(command, 2) && writer.batch == Int(command, 3) &&
                    writer.beat == Int(command, 4) && writer.owner == Text(command, 8);
  if (!same) return std::nullopt;
  if (!transaction->writers_before) transaction->writers_before = writers_;
  ++writer.epoch;
  ++writer.beat;
  writer.owner = Text(command, 5);
  writer.state = Int(command, 6);
  writer.address.clear();
  writer.lease_ms = Int(command, 7);
  return Result(3).Row().Int(writer.epoch).Int(writer.batch).Int(1).Take();
}

Rows DatabaseServer::MakeWriters(const Command& command) {
  Result result(2);
  for (int64_t n = 0; n <= Int(command, 1); ++n) {
    const int64_t lane = n == Int(command, 1) ? -1 : n;
    const int64_t id = next_writer_++;
    writers_[id] = {.lane = lane,
                    .epoch = 1,
                    .batch = 0,
                    .beat = 0,
                    .owner = Text(command, 2),
                    .state = Int(command, 3),
                    .node = Text(command, 4),
                    .address = Text(command, 5),
                    .lease_ms = Int(command, 6)};
    result.Row().Int(lane).Int(id);
  }
  return result.Take();
}

bool DatabaseServer::HasOwner(std::optional<int64_t> writer) const {
  if (!writer) return false;
  const auto row = writers_.find(*writer);
  return row != writers_.end() && row->second.owner.has_value();
}

void DatabaseServer::MoveShards(const Command& command) {
  const std::vector<int64_t> shards = Ints(command, 1);
  const std::vector<int64_t> epochs = Ints(command, 2);
  const std::vector<int64_t> to = Ints(command, 3);
  const std::vector<int64_t> from = Ints(command, 4);
  for (size_t i = 0; i < shards.size(); ++i) {
    ShardRow& shard = shards_[static_cast<size_t>(shards[i])];
    const bool same = shard.epoch == epochs[i];
    const bool allowed = (shard.writer && absl::c_linear_search(from, *shard.writer)) || !HasOwner(shard.writer);
    const bool unchecked = broken_ == ClusterBroken::kMoveUnchecked || broken_ == ClusterBroken::kGiveUnfenced;
    if (!unchecked && !(same && allowed)) continue;
    shard.writer = to[i];
    ++shard.epoch;
  }
}

// --- Entries

int64_t DatabaseServer::Unfolded(const Command& command) {
  const std::vector<int64_t> ids = Ints(command, 1);
  int64_t unfolded = 0;
  for (const auto& [key, bytes] : log_) {
    if (!absl::c_linear_search(ids, key.first)) continue;
    std::string mark;
    absl::Status error;
    int64_t folded = 0;
    if (rows_.Get(storage::WholeFamily(FamilyId::kNode), storage::LogMarkKey(static_cast<uint32_t>(key.first)),
                  storage::ReadTier::kDisk, &mark, &error) == storage::ReadResult::kFound) {
      absl::string_view value = mark;
      HOLDFAST_CHECK(storage::ConsumeInt64(&value, &folded), "the mark of a log");
    }
    if (key.second > folded) ++unfolded;
  }
  return unfolded;
}

void DatabaseServer::AddRows(const Command& command, Transaction* transaction) {
  if (command.name == "remove_in_family") {
    transaction->rows[static_cast<FamilyId>(Int(command, 1))].DeleteRange(
        {Text(command, 2), command.params[2].value_or("")});
    return;
  }
  const std::vector<int64_t> families = Ints(command, 1);
  const std::vector<absl::string_view> first = Array(command, 3);
  const std::vector<absl::string_view> second =
      command.name == "remove" ? std::vector<absl::string_view>() : Array(command, 4);
  for (size_t i = 0; i < families.size(); ++i) {
    storage::WriteSet& writes = transaction->rows[static_cast<FamilyId>(families[i])];
    if (command.name == "put") writes.Put(first[i], std::string(second[i]));
    if (command.name == "remove") writes.Delete(first[i]);
    if (command.name == "remove_ranges") writes.DeleteRange({std::string(first[i]), std::string(second[i])});
  }
}

void DatabaseServer::CommitRows(Transaction* transaction) {
  for (auto& [family, writes] : transaction->rows) {
    const storage::Location location = storage::WholeFamily(family);
    const storage::KeyspaceWrites part{&location, &writes};
    HOLDFAST_CHECK(rows_.CommitSync({&part, 1}).ok(), "a commit in memory");
  }
}

// The name of a page is page_object_RE or page_FAMILY_RE, where R and E say whether it is reversed, and has an end.
Rows DatabaseServer::Page(const Command& command, Session* session) {
  const absl::string_view name = command.name;
  const bool reverse = name[name.size() - 2] == '1';
  const FamilyId family =
      absl::StartsWith(name, "page_object") ? FamilyId::kPacked : static_cast<FamilyId>(name[5] - '0');
  const std::string& start = Text(command, 1);
  const std::optional<std::string>& end = command.params[1];
  int64_t rows_left = Int(command, 3);
  int64_t bytes = 0;
  std::unique_ptr<storage::Cursor> made;
  storage::Cursor* cursor;
  if (const auto snapshot = session->snapshot.find(family); snapshot != session->snapshot.end()) {
    cursor = snapshot->second.get();
  } else {
    made = rows_.NewCursor(storage::WholeFamily(family), storage::KeyRange::All(), storage::ReadTier::kDisk);
    cursor = made.get();
  }
  if (!reverse) {
    cursor->Seek(start);
  } else if (!end) {
    cursor->SeekToLast();
  } else {
    cursor->Seek(*end);
    cursor->state() == storage::ReadResult::kFound ? cursor->Prev() : cursor->SeekToLast();
  }
  Result result(2);
  for (; cursor->state() == storage::ReadResult::kFound && rows_left > 0 && bytes < Int(command, 4); --rows_left) {
    if (reverse ? cursor->key() < start : end && cursor->key() >= *end) break;
    result.Row().Bytes(cursor->key()).Bytes(cursor->value());
    bytes += static_cast<int64_t>(cursor->value().size());
    reverse ? cursor->Prev() : cursor->Next();
  }
  return result.Take();
}

}  // namespace holdfast::simulation
