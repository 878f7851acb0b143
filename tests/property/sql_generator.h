// Random SQL for one object. Most of it fits the database: tables and columns that exist, keys of a small range,
// constraints that nearly hold, rows from nothing to several pages. Some of it must fail.

#ifndef HOLDFAST_TESTS_PROPERTY_SQL_GENERATOR_H_
#define HOLDFAST_TESTS_PROPERTY_SQL_GENERATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/property/sql_model.h"
#include "tests/simulation/seed.h"

namespace holdfast::property {

class SqlGenerator {
 public:
  // `dice` outlives the generator.
  explicit SqlGenerator(simulation::Dice* dice) : dice_(dice) {}

  // Sets the database for which the next statements are made. Call this before any other method.
  void Look(const SqlFilePtr& file);

  v1::SqlStatement Statement();
  // Makes a statement that only reads.
  v1::SqlStatement Query();
  v1::MigrateSchemaRequest Migration();

 private:
  std::string Pick(const std::vector<std::string>& of);
  std::string NewTable();
  std::string Table();
  // Returns a column, mostly of the table that was named last.
  std::string Column();
  std::string Name(const std::string& prefix, const std::string& type);
  std::string Where();
  std::string Expression();
  void AddValue(v1::SqlStatement* statement);
  void AddNumber(v1::SqlStatement* statement);

  v1::SqlStatement CreateTable();
  v1::SqlStatement Alter();
  v1::SqlStatement CreateOther();
  v1::SqlStatement Drop();
  v1::SqlStatement Insert();
  v1::SqlStatement InsertMany();
  v1::SqlStatement Update();
  v1::SqlStatement Delete();
  v1::SqlStatement Pragma();
  v1::SqlStatement Wrong();
  // Sets the statements of the migration, and whether it runs with foreign keys off.
  void FillMigration(v1::Migration* migration);

  simulation::Dice* const dice_;
  SqlFilePtr file_;
  std::vector<SqlTable> tables_;
  // The columns of the table that was named last.
  std::vector<std::string> columns_;
  bool large_ = false;
  // The migrations of the last request.
  google::protobuf::RepeatedPtrField<v1::Migration> migrations_;
};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_SQL_GENERATOR_H_
