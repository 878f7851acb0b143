#include "storage/postgres/membership.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/postgres/writes.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::storage::postgres {
namespace {

const Statement kMove = {"move_shards",
                         "UPDATE hf_shard SET writer = m.writer, epoch = hf_shard.epoch + 1"
                         " FROM unnest($1::int2[], $2::int8[], $3::int8[]) AS m(shard, epoch, writer)"
                         " WHERE hf_shard.id = m.shard AND hf_shard.epoch = m.epoch"
                         " AND (hf_shard.writer = ANY($4::int8[]) OR NOT EXISTS (SELECT FROM hf_writer w"
                         " WHERE w.id = hf_shard.writer AND w.owner IS NOT NULL))"};
const Statement kSetState = {"set_state", "UPDATE hf_writer SET state = $2::int2 WHERE id = $1::int8"};
const Statement kRemove = {"remove_ownerless",
                           "DELETE FROM hf_writer w WHERE id = ANY($1::int8[]) AND owner IS NULL"
                           " AND NOT EXISTS (SELECT FROM hf_shard s WHERE s.writer = w.id)"};
// A batch up to the mark of its log is in the rows, and may be in the log, too.
const Statement kUnfolded = {"unfolded",
                             "SELECT count(*) FROM hf_log l WHERE writer = ANY($1::int8[]) AND batch > coalesce((SELECT"
                             " ('x' || encode(substring(value FOR 8), 'hex'))::bit(64)::int8 & 9223372036854775807"
                             " FROM hf_entry WHERE family = 0 AND shard = -1 AND key ="
                             " 'log'::bytea || int4send(l.writer::int4)), 0)"};
const Statement kRemoveLogs = {"remove_logs", "DELETE FROM hf_log WHERE writer = ANY($1::int8[])"};
const Statement kFreeShards = {"free_shards",
                               "UPDATE hf_shard SET writer = NULL, epoch = epoch + 1 WHERE writer = ANY($1::int8[])"};
const Statement kLeave = {"leave", "UPDATE hf_writer SET epoch = epoch + 1, owner = NULL WHERE owner = $1::text"};

}  // namespace

absl::StatusOr<TripResult> Membership::Ask(absl::FunctionRef<void(Connection*)> add) {
  if (connection_ == nullptr || !connection_->usable()) {
    connection_ = nullptr;
    SessionOptions session = options_.session;
    session.first_host = first_host_;
    auto opened = OpenSession(session, SessionKind::kWriter);
    if (!opened.ok()) {
      ++first_host_;
      return opened.status();
    }
    connection_ = *std::move(opened);
  }
  add(connection_.get());
  TripResult result =
      connection_->Run(options_.session.driver->After(absl::ToChronoNanoseconds(options_.commit_timeout)));
  if (!result.ok()) {
    ++first_host_;
    return result.status();
  }
  return result;
}

absl::Status Membership::Commit(absl::FunctionRef<void(Connection*)> add) {
  const absl::Status status = own_->CommitStatements(add);
  if (!absl::IsUnavailable(status) || IsNotOwner(status)) return status;
  return absl::AbortedError(status.message());
}

absl::StatusOr<ClusterMap> Membership::Look() { return LookBy(AddReadMap); }

absl::StatusOr<ClusterMap> Membership::LookForSure() {
  return LookBy([](Connection* connection) {
    AddSyncedWrite(connection);
    AddReadMap(connection);
  });
}

absl::StatusOr<ClusterMap> Membership::LookBy(absl::FunctionRef<void(Connection*)> add) {
  std::map<int64_t, WriterMark> acknowledged;
  for (const Writer* writer : writers_) acknowledged[writer->id()] = writer->mark();
  const absl::StatusOr<TripResult> result = Ask(add);
  if (!result.ok()) return result.status();
  ClusterMap map = TakeMap(result->rows, options_.part);
  const Member* const self = map.Find(owner());
  const auto replaced = [this](absl::string_view why) {
    connection_ = nullptr;
    ++first_host_;
    return absl::UnavailableError(absl::StrCat("PostgreSQL: ", why));
  };
  if (result->warned) return replaced("a standby may not have the commit");
  // The heartbeat finds out if that is true.
  if (self == nullptr) return replaced("this node is not in the map of the cluster");
  for (const WriterRow& row : self->rows) {
    const auto found = acknowledged.find(row.id);
    if (found == acknowledged.end()) continue;
    if (row.batch >= found->second.batch && row.beat >= found->second.beat) continue;
    return replaced("the server does not know the last writes of this node; it was replaced");
  }
  return map;
}

absl::StatusOr<std::vector<int64_t>> Membership::Unfinished() {
  const absl::StatusOr<ClusterMap> map = Look();
  if (!map.ok()) return map.status();
  std::vector<int64_t> unfinished;
  for (const auto& [owner, member] : map->members) {
    for (const WriterRow& row : member.rows) {
      if (row.lane != kNoLane) unfinished.push_back(row.id);
    }
  }
  return unfinished;
}

absl::Status Membership::MoveShards(absl::Span<const Move> moves) {
  if (moves.empty()) return absl::OkStatus();
  return Commit([&](Connection* connection) {
    ArrayParam shards = ArrayParam::OfInt2();
    ArrayParam epochs = ArrayParam::OfInt8();
    ArrayParam to = ArrayParam::OfInt8();
    ArrayParam from = ArrayParam::OfInt8();
    for (const Move& move : moves) {
      shards.AddInt2(static_cast<int16_t>(move.shard));
      epochs.AddInt8(move.epoch);
      to.AddInt8(move.to);
    }
    for (const Writer* writer : writers_) from.AddInt8(writer->id());
    connection->Add(kMove, Params().Array(&shards).Array(&epochs).Array(&to).Array(&from));
  });
}

absl::Status Membership::SetState(MemberState state) {
  return Commit([&](Connection* connection) {
    connection->Add(kSetState, Params().Int8(own_->id()).Int2(static_cast<int16_t>(state)));
  });
}

absl::Status Membership::TellLoads(absl::Span<const Load> loads) {
  WriteSet rows;
  for (const Load& told : loads) {
    std::string value;
    AppendInt64(&value, told.load);
    rows.Put(ShardLoadKey(told.shard), std::move(value));
  }
  rows.Put(TellsLoadsKey(own_->id()), "");
  const Location location = WholeFamily(FamilyId::kNode);
  const KeyspaceWrites writes{&location, &rows};
  return Commit([&](Connection* connection) { AddWrites({&writes, 1}, connection); });
}

absl::Status Membership::RemoveWriters(absl::Span<const int64_t> ids) {
  WriteSet marks;
  for (int64_t id : ids) marks.Delete(TellsLoadsKey(id));
  const Location location = WholeFamily(FamilyId::kNode);
  const KeyspaceWrites writes{&location, &marks};
  return Commit([&](Connection* connection) {
    AddWrites({&writes, 1}, connection);
    ArrayParam removed = ArrayParam::OfInt8();
    for (int64_t id : ids) removed.AddInt8(id);
    connection->Add(kRemove, Params().Array(&removed));
  });
}

absl::Status Membership::Leave() {
  const auto writers = [this] {
    ArrayParam ids = ArrayParam::OfInt8();
    for (const Writer* writer : writers_) ids.AddInt8(writer->id());
    return ids;
  };
  const absl::StatusOr<TripResult> unfolded = Ask([&](Connection* connection) {
    ArrayParam ids = writers();
    connection->Add(kUnfolded, Params().Array(&ids));
  });
  if (!unfolded.ok()) return unfolded.status();
  if (const int64_t count = unfolded->rows.back().Int(0, 0); count > 0) {
    return absl::FailedPreconditionError(absl::StrCat("PostgreSQL: ", count, " batches of the log are not folded"));
  }
  WriteSet marks;
  for (const Writer* writer : writers_) marks.Delete(LogMarkKey(static_cast<uint32_t>(writer->id())));
  const Location locations[] = {WholeFamily(FamilyId::kNode), WholeFamily(FamilyId::kRequests)};
  WriteSet copy = marks;
  marks.Delete(TellsLoadsKey(own_->id()));
  const KeyspaceWrites removed[] = {{&locations[0], &marks}, {&locations[1], &copy}};
  return Commit([&](Connection* connection) {
    AddWrites(removed, connection);
    ArrayParam ids = writers();
    connection->Add(kRemoveLogs, Params().Array(&ids));
    ids = writers();
    connection->Add(kFreeShards, Params().Array(&ids));
    connection->Add(kLeave, Params().Bytes(owner()));
  });
}

}  // namespace holdfast::storage::postgres
