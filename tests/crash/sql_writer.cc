#include "tests/crash/sql_writer.h"

#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::testing {
namespace {

using v1::ObjectService;

constexpr int kInsertedMax = 5;
constexpr size_t kItemsMax = 200;
constexpr int64_t kDeletedMax = 60;
constexpr size_t kBodyBytesMax = 14'000;
constexpr uint64_t kDeleteAllOneIn = 200;

const char* const kSchema[] = {
    "CREATE TABLE items(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, tag TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX items_by_tag ON items(tag, revision)",
    "CREATE TABLE counts(tag TEXT PRIMARY KEY, n INTEGER NOT NULL)",
    "CREATE TRIGGER item_came AFTER INSERT ON items BEGIN"
    " INSERT INTO counts VALUES (new.tag, 1) ON CONFLICT DO UPDATE SET n = n + 1; END",
    "CREATE TRIGGER item_went AFTER DELETE ON items BEGIN UPDATE counts SET n = n - 1 WHERE tag = old.tag; END",
    "CREATE TRIGGER item_changed AFTER UPDATE OF tag ON items BEGIN"
    " UPDATE counts SET n = n - 1 WHERE tag = old.tag;"
    " INSERT INTO counts VALUES (new.tag, 1) ON CONFLICT DO UPDATE SET n = n + 1; END",
};

}  // namespace

SqlWriter::SqlWriter(int index, uint64_t seed) : index_(index), random_(seed) {
  objects_[0].name = absl::StrCat("sql small ", index);
  objects_[1].name = absl::StrCat("sql large ", index);
  objects_[1].large = true;
}

std::string SqlWriter::NextId() { return absl::StrCat("sql", index_, "-", ++next_id_); }

v1::ExecuteSqlRequest SqlWriter::NewRequest(const Tested& object) {
  v1::ExecuteSqlRequest request;
  request.mutable_object()->set_name(object.name);
  request.set_request_id(NextId());
  return request;
}

SqlWriter::Item SqlWriter::NewItem(const Tested& object) {
  Item item{1, absl::StrCat("tag", random_() % 7), absl::StrCat("body ", random_())};
  if (random_() % (object.large ? 2 : 12) == 0) {
    item.body.resize(random_() % kBodyBytesMax, static_cast<char>('a' + random_() % 26));
  }
  return item;
}

int64_t SqlWriter::AnyItem(const Tested& object) {
  return std::next(object.items.begin(), static_cast<int64_t>(random_() % object.items.size()))->first;
}

bool SqlWriter::Write(const Stubs& stubs) {
  Tested* const object = &objects_[random_() % objects_.size()];
  if (!object->migrated) return Migrate(stubs, object);
  if (object->items.size() > kItemsMax) return Delete(stubs, object);
  if (random_() % kDeleteAllOneIn == 0) return DeleteAll(stubs, object);
  switch (random_() % 5) {
    case 0:
    case 1:
      return Insert(stubs, object);
    case 2:
      return InsertWithKey(stubs, object);
    default:
      return object->items.empty() ? Insert(stubs, object) : Update(stubs, object);
  }
}

bool SqlWriter::Send(const Stubs& stubs, const v1::ExecuteSqlRequest& request, int64_t rows,
                     std::function<void()> done) {
  return calls_.Send(stubs, MakeRetried<ObjectService::Stub, v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(
                                &Stubs::objects, &ObjectService::Stub::ExecuteSql, request,
                                [this, rows, done = std::move(done)](const auto&) {
                                  rows_written_ += rows;
                                  done();
                                }));
}

bool SqlWriter::Migrate(const Stubs& stubs, Tested* object) {
  v1::MigrateSchemaRequest request;
  request.mutable_object()->set_name(object->name);
  request.set_request_id(NextId());
  v1::Migration* const migration = request.add_migrations();
  migration->set_version(1);
  for (const char* sql : kSchema) migration->add_statements()->set_sql(sql);
  return calls_.Send(stubs, MakeRetried<ObjectService::Stub, v1::MigrateSchemaRequest, v1::MigrateSchemaResponse>(
                                &Stubs::objects, &ObjectService::Stub::MigrateSchema, request, [=](const auto& reply) {
                                  object->migrated = true;
                                  if (reply.version_before() != 0) Differ(*object, "was migrated before");
                                }));
}

bool SqlWriter::Insert(const Stubs& stubs, Tested* object) {
  v1::ExecuteSqlRequest request = NewRequest(*object);
  std::map<int64_t, Item> items;
  for (uint64_t i = 1 + random_() % kInsertedMax; i > 0; --i) {
    const int64_t id = object->next_item + static_cast<int64_t>(items.size());
    const Item& item = items[id] = NewItem(*object);
    v1::SqlStatement* const statement = request.add_statements();
    statement->set_sql("INSERT INTO items VALUES (?, ?, ?, ?)");
    statement->add_params()->set_integer(id);
    statement->add_params()->set_integer(item.revision);
    statement->add_params()->set_text(item.tag);
    statement->add_params()->set_blob(item.body);
  }
  return Send(stubs, request, request.statements_size(), [object, items] {
    object->items.insert(items.begin(), items.end());
    object->next_item += static_cast<int64_t>(items.size());
  });
}

bool SqlWriter::InsertWithKey(const Stubs& stubs, Tested* object) {
  v1::ApplyBatchRequest request;
  request.mutable_object()->set_name(object->name);
  request.set_request_id(NextId());
  const Item item = NewItem(*object);
  const int64_t id = object->next_item;
  request.add_preconditions()->mutable_query_returns_row()->set_sql(
      absl::StrCat("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM items WHERE id >= ", id, ")"));
  v1::Entry* const key = request.add_steps()->mutable_put();
  key->set_key("batches");
  key->set_value(absl::StrCat(object->batches + 1));
  v1::SqlStatement* const statement = request.add_steps()->mutable_sql();
  statement->set_sql("INSERT INTO items VALUES (?, 1, ?, ?)");
  statement->add_params()->set_integer(id);
  statement->add_params()->set_text(item.tag);
  statement->add_params()->set_blob(item.body);
  return calls_.Send(stubs, MakeRetried<ObjectService::Stub, v1::ApplyBatchRequest, v1::ApplyBatchResponse>(
                                &Stubs::objects, &ObjectService::Stub::ApplyBatch, request, [=, this](const auto&) {
                                  ++rows_written_;
                                  ++object->batches;
                                  object->items[object->next_item++] = item;
                                }));
}

// The update computes the new values from the stored ones, so that a second effect is seen.
bool SqlWriter::Update(const Stubs& stubs, Tested* object) {
  v1::ExecuteSqlRequest request = NewRequest(*object);
  const int64_t id = AnyItem(*object);
  const std::string tag = absl::StrCat("tag", random_() % 7);
  v1::SqlStatement* const statement = request.add_statements();
  statement->set_sql(
      "UPDATE items SET revision = revision + 1, tag = ?, body = CAST(body || x'2b' AS BLOB) WHERE id = ?");
  statement->add_params()->set_text(tag);
  statement->add_params()->set_integer(id);
  return Send(stubs, request, 1, [object, id, tag] {
    Item& item = object->items.at(id);
    ++item.revision;
    item.tag = tag;
    item.body.push_back('+');
  });
}

bool SqlWriter::Delete(const Stubs& stubs, Tested* object) {
  v1::ExecuteSqlRequest request = NewRequest(*object);
  const int64_t first = AnyItem(*object);
  const int64_t end = first + 1 + static_cast<int64_t>(random_() % kDeletedMax);
  v1::SqlStatement* const statement = request.add_statements();
  statement->set_sql("DELETE FROM items WHERE id >= ? AND id < ?");
  statement->add_params()->set_integer(first);
  statement->add_params()->set_integer(end);
  const auto rows = std::distance(object->items.lower_bound(first), object->items.lower_bound(end));
  return Send(stubs, request, rows, [object, first, end] {
    object->items.erase(object->items.lower_bound(first), object->items.lower_bound(end));
  });
}

bool SqlWriter::DeleteAll(const Stubs& stubs, Tested* object) {
  v1::DeleteAllRequest request;
  request.mutable_object()->set_name(object->name);
  request.set_request_id(NextId());
  return calls_.Send(stubs, MakeRetried<ObjectService::Stub, v1::DeleteAllRequest, v1::DeleteAllResponse>(
                                &Stubs::objects, &ObjectService::Stub::DeleteAll, request, [=](const auto&) {
                                  object->migrated = false;
                                  object->next_item = 1;
                                  object->batches = 0;
                                  object->items.clear();
                                }));
}

// --- After a kill

std::vector<std::string> SqlWriter::Verify(const Stubs& stubs) {
  for (const Tested& object : objects_) CheckWhole(stubs, object);
  repeated_ += calls_.Repeat(stubs);
  for (const Tested& object : objects_) {
    CheckWhole(stubs, object);
    Compare(stubs, object);
  }
  return std::exchange(calls_.differences, {});
}

void SqlWriter::Differ(const Tested& object, const std::string& what) {
  calls_.differences.push_back(absl::StrCat(object.name, ": ", what));
}

void SqlWriter::CheckWhole(const Stubs& stubs, const Tested& object) {
  v1::ExecuteSqlRequest request;
  request.mutable_object()->set_name(object.name);
  request.add_statements()->set_sql("PRAGMA quick_check");
  const auto found = Call(stubs, &Stubs::objects, &ObjectService::Stub::ExecuteSql, request);
  ++databases_checked_;
  if (!found.ok()) return Differ(object, found.status.error_message());
  for (const v1::SqlRow& row : found->results(0).rows()) {
    if (row.values(0).text() != "ok") Differ(object, row.values(0).text());
  }
}

void SqlWriter::Compare(const Stubs& stubs, const Tested& object) {
  if (!object.migrated) return;
  v1::ExecuteSqlRequest request;
  request.mutable_object()->set_name(object.name);
  for (const char* sql : {"SELECT id, revision, tag, body FROM items NOT INDEXED ORDER BY id",
                          "SELECT id, revision, tag FROM items INDEXED BY items_by_tag ORDER BY tag, revision",
                          "SELECT tag, n FROM counts WHERE n <> 0 ORDER BY tag",
                          "SELECT tag, count(*) FROM items NOT INDEXED GROUP BY tag ORDER BY tag"}) {
    request.add_statements()->set_sql(sql);
  }
  const auto found = Call(stubs, &Stubs::objects, &ObjectService::Stub::ExecuteSql, request);
  if (!found.ok()) return Differ(object, found.status.error_message());

  std::map<int64_t, Item> rows;
  for (const v1::SqlRow& row : found->results(0).rows()) {
    rows[row.values(0).integer()] = {row.values(1).integer(), row.values(2).text(), row.values(3).blob()};
  }
  for (const auto& [id, item] : object.items) {
    const auto it = rows.find(id);
    if (it == rows.end()) {
      Differ(object, absl::StrCat("item ", id, " is lost"));
    } else if (it->second != item) {
      Differ(object, absl::StrCat("item ", id, " is at revision ", it->second.revision, " of ", it->second.tag,
                                  "; acknowledged was ", item.revision, " of ", item.tag));
    } else {
      ++rows_compared_;
    }
  }
  for (const auto& [id, item] : rows) {
    if (!object.items.contains(id)) Differ(object, absl::StrCat("item ", id, " came from nowhere"));
  }

  std::set<int64_t> indexed;
  for (const v1::SqlRow& row : found->results(1).rows()) {
    const auto it = rows.find(row.values(0).integer());
    const bool same =
        it != rows.end() && it->second.revision == row.values(1).integer() && it->second.tag == row.values(2).text();
    if (!same) Differ(object, absl::StrCat("the index has item ", row.values(0).integer(), " otherwise"));
    indexed.insert(row.values(0).integer());
  }
  if (indexed.size() != rows.size()) {
    Differ(object, absl::StrCat("the index has ", indexed.size(), " items, the table ", rows.size()));
  }
  const auto counts = [&](int result) {
    std::map<std::string, int64_t> counted;
    for (const v1::SqlRow& row : found->results(result).rows()) counted[row.values(0).text()] = row.values(1).integer();
    return counted;
  };
  if (counts(2) != counts(3)) Differ(object, "the counts of the triggers are not those of the items");

  v1::GetEntriesRequest get;
  get.mutable_object()->set_name(object.name);
  get.add_keys("batches");
  const auto entries = Call(stubs, &Stubs::objects, &ObjectService::Stub::GetEntries, get);
  const std::string batches = entries->entries_size() == 1 ? entries->entries(0).value() : "0";
  if (!entries.ok() || batches != absl::StrCat(object.batches)) {
    Differ(object, absl::StrCat("the key of its batches says ", batches, "; acknowledged was ", object.batches));
  }
}

}  // namespace holdfast::testing
