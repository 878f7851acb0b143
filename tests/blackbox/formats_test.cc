// A client can read back everything that it can store, in JSON too: the server refuses writes of values that JSON
// cannot express.
//
// A walk over the requests of all services finds every field whose type has such values. Each must have a row in a
// table, which says what the server does with them. A new field without a row fails the test.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"
#include "tests/blackbox/raw_call.h"

namespace holdfast::blackbox {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::MessageToJsonString;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

enum class Verdict {
  kRefused,    // the call is refused, and names the field
  kIgnored,    // the call succeeds, and the reply does not have the value
  kReadsBack,  // JSON can express every value of the type
};

struct Row {
  std::string method;  // "Service.Method" of holdfast.v1
  std::string path;    // path of the field in the request
  Verdict verdict;
  std::string request;  // in text; valid but for the field
};

std::string NameOf(const Row& row) { return absl::StrCat(row.method, ": ", row.path); }

const std::vector<Row>& Rows() {
  static const auto* const rows = new std::vector<Row>{
      {"RateLimiterService.CheckLimit", "check.window", Verdict::kRefused,
       "object { name: 'o' } check { key: 'k' limit: 1 }"},
      {"RateLimiterService.CheckLimits", "checks.window", Verdict::kRefused,
       "object { name: 'o' } checks { key: 'k' limit: 1 }"},
      {"BatchProcessorService.ConfigureBatch", "config.delay", Verdict::kRefused, "object { name: 'o' }"},
      {"BatchProcessorService.ConfigureBatch", "config.retention", Verdict::kRefused, "object { name: 'o' }"},
      {"UserCacheService.UpdateUser", "user.attributes", Verdict::kRefused,
       "object { name: 'o' } user { id: 'u' } allow_missing: true"},
      {"UserCacheService.UpdateUser", "user.create_time", Verdict::kIgnored,
       "object { name: 'o' } user { id: 'u' } allow_missing: true"},
      {"UserCacheService.UpdateUser", "user.update_time", Verdict::kIgnored,
       "object { name: 'o' } user { id: 'u' } allow_missing: true"},
      {"ObjectService.ApplyBatch", "preconditions.query_returns_row.params.real", Verdict::kReadsBack,
       "object { name: 'o' } preconditions { query_returns_row { sql: 'SELECT ?1' } } steps { delete_key: 'a' }"},
      {"ObjectService.ApplyBatch", "steps.sql.params.real", Verdict::kReadsBack,
       "object { name: 'o' } steps { sql { sql: 'SELECT ?1' } }"},
      {"ObjectService.ApplyBatch", "steps.set_alarm", Verdict::kRefused, "object { name: 'o' }"},
      {"ObjectService.ApplyBatch", "steps.set_alarm_delay", Verdict::kRefused, "object { name: 'o' }"},
      {"ObjectService.ExecuteSql", "statements.params.real", Verdict::kReadsBack,
       "object { name: 'o' } statements { sql: 'SELECT ?1' }"},
      {"ObjectService.MigrateSchema", "migrations.statements.params.real", Verdict::kReadsBack,
       "object { name: 'o' } migrations { version: 1 statements { sql: 'SELECT ?1' } } "
       "accept_changed_migrations: true"},
      {"ObjectService.SetAlarm", "scheduled_time", Verdict::kRefused, "object { name: 'o' }"},
      {"ObjectService.SetAlarm", "delay", Verdict::kRefused, "object { name: 'o' }"},
      {"ObjectService.WatchAlarms", "lease", Verdict::kRefused, ""},
      // The server reads the code only.
      {"ObjectService.AcknowledgeAlarm", "error.details", Verdict::kIgnored,
       "object { name: 'o' } delivery_token: 't' error { code: 2 }"},
      {"ObjectService.ExtendAlarmLease", "lease", Verdict::kRefused, "object { name: 'o' } delivery_token: 't'"},
  };
  return *rows;
}

// Returns values that JSON cannot express, or that are of no use, by the type of the field. Each is in text form, as in
// the message that has the field.
std::vector<std::string> BadValues(const FieldDescriptor* field) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE || field->cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
    return {": nan", ": inf", ": -inf"};
  }
  const std::string type =
      field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE ? field->message_type()->full_name() : "";
  if (type == "google.protobuf.Timestamp") {
    return {" { seconds: 253402300799 nanos: 999999999 }",  // the year 10000, rounded up to a microsecond
            " { seconds: 253402300799 nanos: 999999001 }",
            " { seconds: 253402300800 }",
            " { seconds: -62135596801 nanos: 999999999 }",
            " { seconds: 1 nanos: 1000000000 }",
            " { seconds: 1 nanos: -1 }",
            " { seconds: 9223372036854775807 nanos: 2147483647 }",
            " { seconds: -9223372036854775808 nanos: -2147483648 }"};
  }
  if (type == "google.protobuf.Duration") {
    return {" { seconds: 315576000001 }",
            " { seconds: 3162240000 nanos: 1 }",
            " { seconds: -1 }",
            " { seconds: 1 nanos: -1 }",
            " { nanos: 1000000000 }",
            " { seconds: 9223372036854775807 nanos: 999999999 }",
            " { seconds: -9223372036854775808 nanos: -999999999 }"};
  }
  if (type == "google.protobuf.Struct") {
    return {" { fields { key: 'x' value { } } }",
            " { fields { key: 'x' value { number_value: nan } } }",
            " { fields { key: 'x' value { number_value: inf } } }",
            " { fields { key: 'x' value { number_value: -inf } } }",
            " { fields { key: 'x' value { list_value { values { } } } } }",
            " { fields { key: 'x' value { struct_value { fields { key: 'y' value { number_value: nan } } } } } }"};
  }
  if (type == "google.protobuf.Any") return {" { type_url: 'no.such/Type' value: '\\377' }"};
  return {};
}

// Finds "Service.Method: path" of every field below a message that has bad values.
void Walk(const Descriptor* message, const std::string& path, std::vector<std::string>* found) {
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* const field = message->field(i);
    const std::string below = absl::StrCat(path, field->name());
    if (!BadValues(field).empty()) {
      found->push_back(below);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ASSERT_LT(std::count(below.begin(), below.end(), '.'), 10) << below << " is part of itself";
      Walk(field->message_type(), absl::StrCat(below, "."), found);
    }
  }
}

std::vector<std::string> FieldsWithBadValues() {
  std::vector<std::string> names;
  for (const char* service_name : {v1::CounterService::service_full_name(), v1::RateLimiterService::service_full_name(),
                                   v1::BatchProcessorService::service_full_name(),
                                   v1::UserCacheService::service_full_name(), v1::ObjectService::service_full_name()}) {
    const auto* const service = DescriptorPool::generated_pool()->FindServiceByName(service_name);
    for (int i = 0; i < service->method_count(); ++i) {
      std::vector<std::string> paths;
      Walk(service->method(i)->input_type(), "", &paths);
      for (const std::string& path : paths) {
        names.push_back(absl::StrCat(service->name(), ".", service->method(i)->name(), ": ", path));
      }
    }
  }
  return names;
}

class Formats : public Behaviour {
 protected:
  // A request of the row with one bad value in its field, and the server's reply.
  struct Tried {
    std::string value;
    std::string field;  // as an error names the field
    RawReply reply;
    std::unique_ptr<Message> response;
  };

  std::vector<Tried> TryAll(const Row& row) {
    const std::vector<std::string> names = absl::StrSplit(row.method, '.');
    const auto* const service =
        DescriptorPool::generated_pool()->FindServiceByName(absl::StrCat("holdfast.v1.", names[0]));
    const auto* const method = service->FindMethodByName(names[1]);
    const std::vector<std::string> path = absl::StrSplit(row.path, '.');
    std::vector<Tried> all;
    const FieldDescriptor* field = nullptr;
    do {
      const std::unique_ptr<Message> request = New(method->input_type());
      EXPECT_TRUE(TextFormat::ParseFromString(row.request, request.get())) << row.request;
      Tried tried;
      Message* const parent = Descend(path, request.get(), &field, &tried.field);
      const std::string value = BadValues(field)[all.size()];
      EXPECT_TRUE(TextFormat::MergeFromString(absl::StrCat(field->name(), value), parent)) << value;
      tried.value = absl::StrCat(NameOf(row), value);
      tried.reply =
          CallRaw(channel_, absl::StrCat("/", service->full_name(), "/", method->name()), *request, Timeout());
      tried.response = New(method->output_type());
      EXPECT_TRUE(tried.response->ParseFromString(tried.reply.bytes));
      all.push_back(std::move(tried));
    } while (all.size() < BadValues(field).size());
    return all;
  }

  static std::unique_ptr<Message> New(const Descriptor* type) {
    return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  }

  // Returns the message within `root` that has the last field of the path, taking the first message of each repeated
  // field. Also sets that field, and the name that an error gives it.
  static Message* Descend(const std::vector<std::string>& path, Message* root, const FieldDescriptor** field,
                          std::string* name) {
    Message* parent = root;
    for (size_t i = 0; i < path.size(); ++i) {
      *field = parent->GetDescriptor()->FindFieldByName(path[i]);
      absl::StrAppend(name, i == 0 ? "" : ".", path[i], (*field)->is_repeated() ? "[0]" : "");
      if (i + 1 == path.size()) break;
      const auto* const reflection = parent->GetReflection();
      if (!(*field)->is_repeated()) {
        parent = reflection->MutableMessage(parent, *field);
      } else if (reflection->FieldSize(*parent, *field) > 0) {
        parent = reflection->MutableRepeatedMessage(parent, *field, 0);
      } else {
        parent = reflection->AddMessage(parent, *field);
      }
    }
    return parent;
  }

  // Checks that the message is the same after its conversion to JSON and back.
  static ::testing::AssertionResult ReadsBack(const Message& message) {
    std::string json;
    if (const auto status = MessageToJsonString(message, &json); !status.ok()) {
      return ::testing::AssertionFailure() << status.ToString() << ": " << message.ShortDebugString();
    }
    std::unique_ptr<Message> back(message.New());
    if (const auto status = JsonStringToMessage(json, back.get()); !status.ok()) {
      return ::testing::AssertionFailure() << status.ToString() << ": " << json;
    }
    if (!MessageDifferencer::Equals(message, *back)) return ::testing::AssertionFailure() << json;
    return ::testing::AssertionSuccess();
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, Formats, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST(FormatsTable, HasARowForEveryFieldThatCanHaveAValueThatJsonCannotSay) {
  std::set<std::string> rows;
  for (const Row& row : Rows()) EXPECT_TRUE(rows.insert(NameOf(row)).second) << NameOf(row);
  const std::vector<std::string> found = FieldsWithBadValues();
  EXPECT_THAT(rows, ElementsAreArray(std::set<std::string>(found.begin(), found.end())));
}

TEST_P(Formats, WhatJsonCannotSayIsRefusedAndNothingIsStored) {
  for (const Row& row : Rows()) {
    if (row.verdict != Verdict::kRefused) continue;
    for (const Tried& tried : TryAll(row)) EXPECT_TRUE(IsInvalid(tried.reply.status, tried.field)) << tried.value;
  }
  EXPECT_THAT(Call(&ObjectStub::ListObjects, v1::ListObjectsRequest())->objects(), IsEmpty());
}

TEST_P(Formats, WhatIsIgnoredIsNotInTheReply) {
  for (const Row& row : Rows()) {
    if (row.verdict != Verdict::kIgnored) continue;
    for (const Tried& tried : TryAll(row)) {
      if (!tried.reply.status.ok()) EXPECT_EQ(ReasonOf(tried.reply.status), "ALARM_DELIVERY_STALE") << tried.value;
      EXPECT_TRUE(ReadsBack(*tried.response)) << tried.value;
    }
  }
}

TEST_P(Formats, WhatJsonCanSayReadsBack) {
  for (const Row& row : Rows()) {
    if (row.verdict != Verdict::kReadsBack) continue;
    for (const Tried& tried : TryAll(row)) {
      EXPECT_TRUE(tried.reply.status.ok() || ReasonOf(tried.reply.status) == "PRECONDITION_FAILED")
          << tried.value << ": " << tried.reply.status.error_message();
      EXPECT_TRUE(ReadsBack(*tried.response)) << tried.value;
    }
  }
}

TEST_P(Formats, NumbersInATableReadBack) {
  auto request = For<v1::ExecuteSqlRequest>("o");
  request.add_statements()->set_sql("CREATE TABLE t(v)");
  for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL, -0.0, std::numeric_limits<double>::max(),
                              std::numeric_limits<double>::denorm_min()}) {
    auto* const insert = request.add_statements();
    insert->set_sql("INSERT INTO t(v) VALUES (?1)");
    insert->add_params()->set_real(number);
  }
  ASSERT_TRUE(IsOk(Call(&ObjectStub::ExecuteSql, request)));
  Passivate("o");
  auto select = For<v1::ExecuteSqlRequest>("o");
  select.add_statements()->set_sql("SELECT v FROM t");
  const auto reply = Call(&ObjectStub::ExecuteSql, select);
  ASSERT_TRUE(IsOk(reply));
  ASSERT_EQ(reply->results(0).rows_size(), 6);
  EXPECT_EQ(reply->results(0).rows(0).values(0).kind_case(), v1::SqlValue::KIND_NOT_SET);  // NaN is NULL
  EXPECT_EQ(reply->results(0).rows(1).values(0).real(), HUGE_VAL);
  EXPECT_TRUE(ReadsBack(reply.response));
}

TEST_P(Formats, TheLastMomentThatATimestampCanSayReadsBack) {
  auto request = For<v1::SetAlarmRequest>("o");
  request.mutable_scheduled_time()->set_seconds(253'402'300'799);
  request.mutable_scheduled_time()->set_nanos(999'999'000);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::SetAlarm, request)));
  const auto reply = Call(&ObjectStub::GetAlarm, For<v1::GetAlarmRequest>("o"));
  EXPECT_TRUE(MessageDifferencer::Equals(reply->scheduled_time(), request.scheduled_time()));
  EXPECT_TRUE(ReadsBack(reply.response));
  EXPECT_TRUE(ReadsBack(Describe("o")));
}

}  // namespace
}  // namespace holdfast::blackbox
