// Random SQL for one object, made so that most of it meets what is there: tables and columns that exist, keys of a
// small range, constraints that nearly hold, rows from nothing to several pages; and some that must fail.

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
  // Outlived by `dice`.
  explicit SqlGenerator(simulation::Dice* dice) : dice_(dice) {}

  // For statements to the database that may be this one now; before any of the others.
  void Look(const SqlFilePtr& file);

  v1::SqlStatement Statement();
  // One that only reads.
  v1::SqlStatement Query();
  v1::MigrateSchemaRequest Migration();

 private:
  std::string Pick(const std::vector<std::string>& of);
  std::string NewTable();
  std::string Table();
  // Of the table that was named last.
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
  // Its statements, and whether foreign keys are off.
  void FillMigration(v1::Migration* migration);

  simulation::Dice* const dice_;
  SqlFilePtr file_;
  std::vector<SqlTable> tables_;
  // Those of the table that was named last.
  std::vector<std::string> columns_;
  bool large_ = false;
  // Of the last request.
  google::protobuf::RepeatedPtrField<v1::Migration> migrations_;
};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_SQL_GENERATOR_H_
