// Reads are of a server that has all that was committed, never of one that was replaced; and of shards that are here.

#include "storage/postgres/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/node/families.h"
#include "storage/store/object_id.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

using testing::Optional;
using testing::SizeIs;

const Location kNodes = WholeFamily(FamilyId::kNode);
const Location kCatalog = WholeFamily(FamilyId::kCatalog);

// A row of a writer, which a test moves, and a reader that asks for it.
class ReaderTest : public testing::Test {
 protected:
  ReaderTest() {
    cluster_.Execute("INSERT INTO hf_writer VALUES (7, 0, 3, 10, 0, 'me', 1, '', '', 0)");
    cluster_.Execute("INSERT INTO hf_entry VALUES (0, -1, 'k', 'v')");
  }
  Reader Make(absl::Duration read_timeout = absl::Seconds(10)) {
    return Reader(ReaderOptions{.session = {.conninfo = cluster_.conninfo(), .read_timeout = read_timeout},
                                .known = [this] { return mark_; },
                                .shard_writer = [this](int16_t) { return shard_writer_; }});
  }

  TestCluster cluster_;
  WriterMark mark_ = {.id = 7, .epoch = 3, .batch = 10, .beat = 0};
  std::optional<int64_t> shard_writer_;
};

TEST_F(ReaderTest, ServerWithAllThatWasAcknowledgedIsRead) {
  Reader reader = Make();
  EXPECT_THAT(*reader.Get(RowSpace(kNodes), "k"), Optional(std::string("v")));
  // It may have more: a commit that is under way, an epoch that was raised.
  cluster_.Execute("UPDATE hf_writer SET batch = 11, epoch = 4");
  EXPECT_THAT(*reader.Get(RowSpace(kNodes), "k"), Optional(std::string("v")));
  EXPECT_EQ(reader.replaced(), 0);
}

TEST_F(ReaderTest, ServerThatLacksSomethingIsNot) {
  for (const WriterMark& ahead :
       {WriterMark{7, 3, 11, 0}, WriterMark{7, 4, 10, 0}, WriterMark{7, 3, 10, 1}, WriterMark{8, 0, 0, 0}}) {
    mark_ = ahead;
    Reader reader = Make(absl::Milliseconds(300));
    EXPECT_EQ(reader.Get(RowSpace(kNodes), "k").status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(reader.ReadPage(RowSpace(kNodes), KeyRange::All(), {.rows_max = 10, .bytes_max = 1000}).status().code(),
              absl::StatusCode::kUnavailable);
    EXPECT_EQ(reader.BeginSnapshot(RowSpace(kNodes)).status().code(), absl::StatusCode::kUnavailable);
    // A busy machine may take the whole time of a read to connect.
    EXPECT_GE(reader.replaced(), 1);
  }
}

TEST_F(ReaderTest, ShardThatHasGoneIsNotReadAndNotWaitedFor) {
  Reader reader = Make(absl::Hours(1));
  const Location object = PackedLocation(ObjectKey("ns", "Class", "a"));
  const RowSpace space(object);
  EXPECT_THAT(*reader.Get(space, "k"), testing::Eq(std::nullopt)) << "nobody asks for its owner";
  shard_writer_ = 7;
  EXPECT_TRUE(IsNotOwner(reader.Get(space, "k").status())) << "nobody owns it";
  cluster_.Execute("UPDATE hf_shard SET writer = 8");
  EXPECT_TRUE(IsNotOwner(reader.Get(space, "k").status()));
  EXPECT_TRUE(IsNotOwner(reader.ReadPage(space, KeyRange::All(), {.rows_max = 10, .bytes_max = 1000}).status()));
  EXPECT_TRUE(IsNotOwner(reader.BeginSnapshot(space).status()));
  EXPECT_THAT(*reader.Get(RowSpace(kNodes), "k"), Optional(std::string("v"))) << "it is of no shard";
  cluster_.Execute("UPDATE hf_shard SET writer = 7");
  EXPECT_THAT(*reader.Get(space, "k"), testing::Eq(std::nullopt));
  EXPECT_TRUE(reader.BeginSnapshot(space).ok());
  EXPECT_EQ(reader.replaced(), 0);
}

// Two servers that were one: since then one has taken writes, and the other one runs on.
class ReplacedServerTest : public testing::Test {
 protected:
  ReplacedServerTest() {
    old_.Kill();
    new_.emplace(testing_server::PostgresServer::CopyOf{&old_});
    options_ = cluster_.NewProcess();
    options_.conninfo = absl::StrCat("host=", old_.directory(), ",", new_->directory(),
                                     " dbname=postgres user=holdfast options='-csearch_path=", cluster_.schema(), "'");
    options_.lease = absl::Hours(1);
  }
  // The old one is not there yet.
  void Open(absl::Duration read_timeout) {
    options_.read_timeout = read_timeout;
    store_ = OpenOrDie(options_);
  }
  absl::Status Read(const Location& location, absl::string_view key, std::string* value) {
    absl::Status error;
    const ReadResult result = store_->Get(location, key, ReadTier::kDisk, value, &error);
    return result == ReadResult::kAbsent ? absl::NotFoundError("") : error;
  }
  // From now on new connections lead to the old server, and there are no others.
  void BringBackTheOld() {
    new_->Kill();
    old_.Start();
  }

  testing_server::PostgresServer old_;
  TestCluster cluster_{&old_};
  std::optional<testing_server::PostgresServer> new_;
  PostgresOptions options_;
  std::unique_ptr<PostgresStore> store_;
};

TEST_F(ReplacedServerTest, NeverAnswers) {
  Open(absl::Milliseconds(300));
  const Location object = PackedLocation(ObjectKey("ns", "Class", "a"));
  ASSERT_THAT(Commit(*store_, {{object, OnePut("k", "1")}, {kCatalog, OnePut("k", "2")}}), IsOk());
  BringBackTheOld();
  std::string value;
  for (const Location& location : {object, kCatalog}) {
    const absl::Status read = Read(location, "k", &value);
    EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable) << read;
    const auto cursor = store_->NewCursor(location, KeyRange::All(), ReadTier::kDisk);
    EXPECT_EQ(cursor->state(), ReadResult::kError);
    EXPECT_EQ(cursor->error().code(), absl::StatusCode::kUnavailable) << cursor->error();
  }
  new_->Start();
  for (const auto& [location, stored] : {std::pair(object, "1"), std::pair(kCatalog, "2")}) {
    absl::Status read;
    do {
      read = Read(location, "k", &value);
    } while (absl::IsUnavailable(read));
    EXPECT_THAT(read, IsOk());
    EXPECT_EQ(value, stored);
  }
}

TEST_F(ReplacedServerTest, IsPassedOverForTheOneThatTakesTheWrites) {
  Open(absl::Seconds(60));
  WriteSet rows;
  for (int i = 0; i < 500; ++i) rows.Put(absl::StrCat("key", 1000 + i), std::string(100, 'v'));
  ASSERT_THAT(Commit(*store_, {{kCatalog, rows}}), IsOk());
  BringBackTheOld();
  new_->Start();
  EXPECT_THAT(FindAt(*store_, kCatalog, "key1499"), Optional(std::string(100, 'v')));
  EXPECT_THAT(Dump(*store_, FamilyId::kCatalog), SizeIs(500));
}

// It has the rows of the writers, but not the claim: what the process before had in its log may be missing.
TEST_F(ReplacedServerTest, NeverAnswersBeforeTheFirstCommitEither) {
  Open(absl::Milliseconds(300));
  BringBackTheOld();
  std::string value;
  const absl::Status read = Read(kCatalog, "k", &value);
  EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable) << read;
}

}  // namespace
}  // namespace holdfast::storage::postgres
