// Classes that keep their data in SQL: the example of actors/objects/README.md.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "actors/wire/sql_wire.h"
#include "storage/sql/database.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {
namespace {

namespace sql = storage::sql;

using ::testing::ElementsAre;

class Notes : public Object {
 public:
  using Object::Object;
  static const ObjectClass& Class() {
    static const auto* const object_class = new ObjectClass{.name = "Notes", .make = Make<Notes>};
    return *object_class;
  }

  // Adds a note and returns its number.
  Task<absl::Status> Add(const std::string& text, int64_t* id) {
    const auto added = co_await sql::DatabaseOf(storage()).Run<int64_t>(
        [text](sql::Connection& connection) -> absl::StatusOr<int64_t> {
          auto result = connection.Execute("CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, text TEXT)", {});
          if (!result.ok()) return result.status();
          const sql::Value params[] = {text};
          result = connection.Execute("INSERT INTO notes(text) VALUES (?)", params);
          if (!result.ok()) return result.status();
          return result->last_insert_rowid;
        });
    if (!added.ok()) co_return SqlFailed(added.status(), "text");
    *id = *added;
    co_return storage().Put("last", text);
  }

  Task<absl::Status> Search(const std::string& word, std::vector<std::string>* found) {
    const auto rows = co_await sql::DatabaseOf(storage()).Run<sql::Result>([word](sql::Connection& connection) {
      const sql::Value params[] = {word};
      return connection.Execute("SELECT text FROM notes WHERE instr(text, ?) > 0 ORDER BY id", params);
    });
    if (!rows.ok()) co_return SqlFailed(rows.status(), "word");
    for (const sql::Row& row : rows->rows) found->push_back(std::get<std::string>(row[0]));
    co_return absl::OkStatus();
  }
};

class SqlObjectTest : public NodeTest {
 protected:
  SqlObjectTest() { classes = {&Notes::Class()}; }

  // Adds all texts in one turn, which then fails if `fails` is set.
  absl::Status Add(const std::vector<std::string>& texts, bool fails = false) {
    auto outcome = std::make_shared<Outcome>();
    SendBody(
        Notes::Class(), "a",
        [texts, fails](Object& object) -> Task<absl::Status> { return AddAll(&object, texts, fails); }, outcome);
    node->Settle();
    return *outcome->status;
  }
  static Task<absl::Status> AddAll(Object* object, std::vector<std::string> texts, bool fails) {
    for (const std::string& text : texts) {
      int64_t id = 0;
      absl::Status status = co_await static_cast<Notes*>(object)->Add(text, &id);
      if (!status.ok()) co_return status;
    }
    if (fails) co_return InvalidField("field", "is wrong");
    co_return absl::OkStatus();
  }
  std::vector<std::string> Search(const std::string& word) {
    auto found = std::make_shared<std::vector<std::string>>();
    auto outcome = std::make_shared<Outcome>();
    SendBody(
        Notes::Class(), "a",
        [word, found](Object& object) { return static_cast<Notes&>(object).Search(word, found.get()); }, outcome);
    node->Settle();
    EXPECT_TRUE(outcome->ok()) << *outcome->status;
    return *found;
  }
};

TEST_F(SqlObjectTest, SqlAndKeysOfATurnAreOneCommit) {
  Start();
  const int commits = recording.commits;
  ASSERT_TRUE(Add({"a red note", "a blue note"}).ok());
  EXPECT_EQ(recording.commits, commits + 1);
  Start();
  EXPECT_THAT(Search("red"), ElementsAre("a red note"));
}

TEST_F(SqlObjectTest, LaterSqlOfATurnSeesEarlierOne) {
  Start();
  ASSERT_TRUE(Add({"1", "2", "3"}).ok());
  EXPECT_THAT(Search(""), ElementsAre("1", "2", "3"));
}

TEST_F(SqlObjectTest, TurnThatFailsAfterItsSqlLeavesNothing) {
  Start();
  ASSERT_TRUE(Add({"kept"}).ok());
  EXPECT_FALSE(Add({"dropped"}, true).ok());
  EXPECT_THAT(Search(""), ElementsAre("kept"));
  ASSERT_TRUE(Add({"next"}).ok());
  EXPECT_THAT(Search(""), ElementsAre("kept", "next"));
}

}  // namespace
}  // namespace holdfast::actors
