#include "client/sql_output.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace holdfast::client {
namespace {

v1::SqlValue Null() { return {}; }
v1::SqlValue Integer(int64_t integer) {
  v1::SqlValue value;
  value.set_integer(integer);
  return value;
}
v1::SqlValue Real(double real) {
  v1::SqlValue value;
  value.set_real(real);
  return value;
}
v1::SqlValue Text(const std::string& text) {
  v1::SqlValue value;
  value.set_text(text);
  return value;
}
v1::SqlValue Blob(const std::string& bytes) {
  v1::SqlValue value;
  value.set_blob(bytes);
  return value;
}

v1::SqlResult Result(const std::vector<std::string>& columns, const std::vector<std::vector<v1::SqlValue>>& rows) {
  v1::SqlResult result;
  for (const std::string& name : columns) result.add_columns()->set_name(name);
  for (const auto& row : rows) {
    v1::SqlRow* const to = result.add_rows();
    for (const v1::SqlValue& value : row) *to->add_values() = value;
  }
  return result;
}

std::string Print(SqlFormat format, const v1::SqlResult& result) {
  std::ostringstream out;
  TextOutput text(out);
  PrintSqlResult(format, result, text);
  return out.str();
}

// Prints a column v with one value.
std::string Print(SqlFormat format, const v1::SqlValue& value) { return Print(format, Result({"v"}, {{value}})); }

TEST(SqlOutputTest, TablesAreAligned) {
  EXPECT_EQ(Print(SqlFormat::kTable, Result({"id", "a name", ""}, {{Integer(1), Text("\xc3\xa9t\xc3\xa9"), Text("x")},
                                                                   {Integer(-1000), Text("b"), Null()}})),
            "id     a name\n"
            "-----  ------  -\n"
            "1      \xc3\xa9t\xc3\xa9     x\n"
            "-1000  b\n");
}

TEST(SqlOutputTest, ValuesInATable) {
  const auto value = [](const v1::SqlValue& value) {
    const std::string table = Print(SqlFormat::kTable, value);
    return table.substr(table.find('\n', 2) + 1);
  };
  EXPECT_EQ(value(Null()), "\n");
  EXPECT_EQ(value(Text("a\n\x1b[2J")), "a\\n\\x1b[2J\n");
  EXPECT_EQ(value(Blob(std::string("\0\xfe", 2))), "X'00FE'\n");
  EXPECT_EQ(value(Integer(INT64_MIN)), "-9223372036854775808\n");
  EXPECT_EQ(value(Real(1)), "1.0\n");
  EXPECT_EQ(value(Real(0.1)), "0.1\n");
  EXPECT_EQ(value(Real(0.1 + 0.2)), "0.30000000000000004\n");
  EXPECT_EQ(value(Real(1e100)), "1e+100\n");
  EXPECT_EQ(value(Real(-std::numeric_limits<double>::infinity())), "-Inf\n");
  EXPECT_EQ(value(Real(std::nan(""))), "\n");
}

TEST(SqlOutputTest, EachTableHasItsHeader) {
  std::ostringstream out;
  TextOutput text(out);
  for (const char* value : {"long", "b"}) PrintSqlResult(SqlFormat::kTable, Result({"v"}, {{Text(value)}}), text);
  EXPECT_EQ(out.str(), "v\n----\nlong\nv\n-\nb\n");
}

TEST(SqlOutputTest, JsonIsAnObjectARow) {
  EXPECT_EQ(Print(SqlFormat::kJson, Result({"b", "a\"", "b", "b:1", "b"},
                                           {{Integer(1), Real(1), Null(), Integer(2), Integer(3)},
                                            {Real(0.5), Text(""), Blob("hello"), Integer(0), Integer(0)}})),
            "{\"b\":1,\"a\\\"\":1.0,\"b:1\":null,\"b:1:1\":2,\"b:2\":3}\n"
            "{\"b\":0.5,\"a\\\"\":\"\",\"b:1\":\"aGVsbG8=\",\"b:1:1\":0,\"b:2\":0}\n");
}

TEST(SqlOutputTest, JsonRoundsNoInteger) {
  const int64_t exact = (int64_t{1} << 53) - 1;
  EXPECT_EQ(Print(SqlFormat::kJson, Integer(exact)), "{\"v\":9007199254740991}\n");
  EXPECT_EQ(Print(SqlFormat::kJson, Integer(-exact)), "{\"v\":-9007199254740991}\n");
  EXPECT_EQ(Print(SqlFormat::kJson, Integer(exact + 1)), "{\"v\":\"9007199254740992\"}\n");
  EXPECT_EQ(Print(SqlFormat::kJson, Integer(INT64_MIN)), "{\"v\":\"-9223372036854775808\"}\n");
}

TEST(SqlOutputTest, JsonHasNoInfinityAndNoControlCharacters) {
  EXPECT_EQ(Print(SqlFormat::kJson, Real(std::numeric_limits<double>::infinity())), "{\"v\":\"Infinity\"}\n");
  EXPECT_EQ(Print(SqlFormat::kJson, Real(std::nan(""))), "{\"v\":null}\n");
  EXPECT_EQ(Print(SqlFormat::kJson, Text(std::string("\0\\\n\t\x1b\x7f\xc2\x9b\xc3\xa9\xc2\xa0", 12))),
            "{\"v\":\"\\u0000\\\\\\n\\t\\u001b\\u007f\\u009b\xc3\xa9\xc2\xa0\"}\n");
}

TEST(SqlOutputTest, CsvIsQuotedWhereItMustBe) {
  EXPECT_EQ(Print(SqlFormat::kCsv, Result({"id", "a,b"}, {{Integer(INT64_MAX), Text("plain text")},
                                                          {Null(), Text("")},
                                                          {Real(2), Text("say \"hi\"")},
                                                          {Blob("hello"), Text("two\nlines,\r\xc3\xa9")},
                                                          {Text(" x"), Text("x ")}})),
            "id,\"a,b\"\r\n"
            "9223372036854775807,plain text\r\n"
            ",\"\"\r\n"
            "2.0,\"say \"\"hi\"\"\"\r\n"
            "aGVsbG8=,\"two\nlines,\r\xc3\xa9\"\r\n"
            "\" x\",\"x \"\r\n");
}

TEST(SqlOutputTest, NoRows) {
  EXPECT_EQ(Print(SqlFormat::kTable, Result({"id"}, {})), "");
  EXPECT_EQ(Print(SqlFormat::kJson, Result({"id"}, {})), "");
  EXPECT_EQ(Print(SqlFormat::kCsv, Result({"id"}, {})), "id\r\n");
  for (const SqlFormat format : {SqlFormat::kTable, SqlFormat::kJson, SqlFormat::kCsv}) {
    EXPECT_EQ(Print(format, v1::SqlResult()), "");
  }
}

TEST(SqlOutputTest, ARowShorterThanTheHeaderIsFilledUp) {
  const v1::SqlResult result = Result({"a", "b"}, {{Integer(1)}});
  EXPECT_EQ(Print(SqlFormat::kTable, result), "a  b\n-  -\n1\n");
  EXPECT_EQ(Print(SqlFormat::kJson, result), "{\"a\":1,\"b\":null}\n");
  EXPECT_EQ(Print(SqlFormat::kCsv, result), "a,b\r\n1,\r\n");
}

}  // namespace
}  // namespace holdfast::client
