// Several users of group 0 use a data directory of that group one after the other, as on OpenShift.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/answers/answers.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat stat {};
  EXPECT_EQ(::stat(path.c_str(), &stat), 0) << path;
  return stat.st_mode & 07777;
}

class GroupTest : public AnswersTest {
 protected:
  // A test that does not run as root starts the server as its own user, and still checks the rights of the files.
  static ServerProgram As(uid_t user) {
    ServerProgram program = Holdfastd();
    if (geteuid() == 0) program.user = user;
    return program;
  }

  void SetUp() override {
    // The parent directory must be open to the group, too.
    ASSERT_EQ(chmod(directory_.path().c_str(), 0770), 0);
    ASSERT_EQ(mkdir(data_dir().c_str(), 0770), 0);
    ASSERT_EQ(chmod(data_dir().c_str(), 0770), 0);
  }

  // Expects that the group may read and write all files of the data directory, or that it may write none of them.
  void ExpectShared(bool shared) {
    int files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir())) {
      ++files;
      const mode_t mode = ModeOf(entry.path());
      EXPECT_EQ((mode & S_IWGRP) != 0, shared) << entry.path();
      if (shared) EXPECT_NE(mode & S_IRGRP, 0u) << entry.path();
    }
    EXPECT_GT(files, 4);
  }

  // Sorts more than memory holds, so that the server needs a temporary file.
  void SortMuch() {
    const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
    v1::ExecuteSqlRequest request;
    request.mutable_object()->set_name("sorted");
    request.add_statements()->set_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        "SELECT count(*) FROM (SELECT DISTINCT hex(randomblob(500)) FROM n)");
    const auto reply = Invoke(*stub, &v1::ObjectService::Stub::ExecuteSql, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
  }
};

TEST_F(GroupTest, EachUserOfGroup0CanTakeOverTheDataDirectory) {
  int64_t expected = 0;
  for (const uid_t user : {20000, 20001, 20002}) {
    Start("storage { memtable_bytes: 4194304 }", As(user));
    SortMuch();
    const auto reply = Increment("visits");
    ASSERT_TRUE(reply.ok()) << reply.status.error_message();
    EXPECT_EQ(reply->value(), ++expected);
    // The data directory is tested with and without the files that a stop writes.
    if (user == 20001) {
      server_->Kill();
    } else {
      EXPECT_EQ(server_->Terminate(), 0);
    }
    ExpectShared(true);
  }
}

TEST_F(GroupTest, ADirectoryThatIsNotTheGroupsHasFilesThatAreNot) {
  ASSERT_EQ(chmod(data_dir().c_str(), 0750), 0);
  Start();
  ASSERT_TRUE(Increment("visits").ok());
  EXPECT_EQ(server_->Terminate(), 0);
  ExpectShared(false);
}

TEST_F(GroupTest, ADataDirectoryThatTheServerMakesIsTheGroupsToo) {
  ASSERT_EQ(rmdir(data_dir().c_str()), 0);
  for (const uid_t user : {20000, 20001}) {
    Start("", As(user));
    EXPECT_TRUE(Increment("visits").ok());
    EXPECT_EQ(ModeOf(data_dir()) & S_IRWXG, static_cast<mode_t>(S_IRWXG));
    EXPECT_EQ(server_->Terminate(), 0);
  }
}

TEST_F(GroupTest, FilesOfAnEarlierVersionAreSharedByTheirOwnersNextStart) {
  Start("", As(20000));
  EXPECT_EQ(server_->Terminate(), 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir())) {
    if (!entry.is_regular_file()) continue;
    ASSERT_EQ(chmod(entry.path().c_str(), 0644), 0);
  }
  Start("", As(20000));
  EXPECT_EQ(server_->Terminate(), 0);
  Start("", As(20001));
  EXPECT_TRUE(Increment("visits").ok());
}

}  // namespace
}  // namespace holdfast::testing
