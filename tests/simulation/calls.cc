#include "tests/simulation/calls.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "actors/objects/counter.h"
#include "actors/objects/plain_object.h"
#include "actors/objects/rate_limiter.h"
#include "actors/wire/entry.h"
#include "service/call/message_record.h"
#include "storage/base/check.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/models.h"

namespace holdfast::simulation {
namespace {

using actors::Counter;
using actors::PlainObject;
using actors::RateLimiter;
using Words = std::vector<std::string>;

template <typename Class, typename Request, typename Response>
class TypedCall final : public Call {
 public:
  using Handler = actors::Task<absl::Status> (Class::*)(const Request&, Response*);
  using Text = std::string (*)(const Response&);

  TypedCall(Handler handler, Request request, Text text)
      : handler_(handler),
        request_(std::move(request)),
        text_(text),
        method_(request_.GetTypeName()),
        record_(&method_, &request_, &response_) {}

  actors::Task<absl::Status> Run(actors::Object& object) override {
    absl::Status status = co_await (static_cast<Class&>(object).*handler_)(request_, &response_);
    if (status.ok() && ran) ran(this);
    co_return status;
  }
  actors::RecordedRequest* recorded() override { return record_.IfAny(); }
  std::string ReplyText() const override { return text_(response_); }

 private:
  const Handler handler_;
  const Request request_;
  const Text text_;
  Response response_;
  const std::string method_;
  service::MessageRecord<Request, Response> record_;
};

template <typename Class, typename Request, typename Response>
std::unique_ptr<Call> MakeCall(actors::Task<absl::Status> (Class::*handler)(const Request&, Response*), Request request,
                               std::string (*text)(const Response&)) {
  return std::make_unique<TypedCall<Class, Request, Response>>(handler, std::move(request), text);
}

template <typename Request>
Request WithId(const std::string& request_id) {
  Request request;
  request.set_request_id(request_id);
  return request;
}

int64_t NumberOf(absl::string_view text) {
  int64_t number = 0;
  HOLDFAST_CHECK(absl::SimpleAtoi(text, &number), text);
  return number;
}

template <typename Response>
std::string Ok(const Response&) {
  return "ok";
}
template <typename Response>
std::string ValueIn(const Response& response) {
  return absl::StrCat(response.value());
}
template <typename Response>
std::string EntriesIn(const Response& response) {
  return absl::StrJoin(response.entries(), ",", [](std::string* out, const v1::Entry& entry) {
    absl::StrAppend(out, entry.key(), "=", entry.value());
  });
}

// --- Counters

std::unique_ptr<Call> CallCounter(absl::string_view text, const std::string& id) {
  const Words words = absl::StrSplit(text, ' ');
  if (words[0] == "get") return MakeCall(&Counter::GetValue, v1::GetValueRequest(), &ValueIn<v1::GetValueResponse>);
  if (words[0] == "unique") {
    return MakeCall(
        &Counter::GetUniqueNumber, WithId<v1::GetUniqueNumberRequest>(id),
        +[](const v1::GetUniqueNumberResponse& response) { return absl::StrCat(response.number()); });
  }
  if (words[0] == "add") {
    auto request = WithId<v1::IncrementRequest>(id);
    request.set_amount(NumberOf(words[1]));
    return MakeCall(&Counter::Increment, std::move(request), &ValueIn<v1::IncrementResponse>);
  }
  auto request = WithId<v1::ResetCounterRequest>(id);
  request.set_value(NumberOf(words[1]));
  return MakeCall(
      &Counter::ResetCounter, std::move(request),
      +[](const v1::ResetCounterResponse& response) { return absl::StrCat(response.previous_value()); });
}

// --- Limiters. Their window is so long that nothing expires, whatever the clocks do.

std::unique_ptr<Call> CallLimiter(absl::string_view text, const std::string& id) {
  const Words words = absl::StrSplit(text, ' ');
  auto request = WithId<v1::CheckLimitRequest>(id);
  request.set_peek(words[0] == "peek");
  v1::RateLimit& check = *request.mutable_check();
  check.set_key(words[1]);
  check.set_cost(NumberOf(words[2]));
  check.set_limit(kLimit);
  check.mutable_window()->set_seconds(int64_t{366} * 24 * 3600);
  return MakeCall(
      &RateLimiter::CheckLimit, std::move(request), +[](const v1::CheckLimitResponse& response) {
        return absl::StrCat(response.allowed() ? "allowed " : "denied ", response.remaining());
      });
}

// --- Plain objects

void AddPut(const std::string& key, const std::string& value, v1::PutEntriesRequest* request) {
  v1::Entry* const entry = request->add_entries();
  entry->set_key(key);
  entry->set_value(value);
}

constexpr char kMakeTable[] = "CREATE TABLE IF NOT EXISTS sums(id INTEGER PRIMARY KEY, sum INTEGER NOT NULL)";
constexpr char kAdd[] =
    "INSERT INTO sums VALUES(1, ?1) ON CONFLICT(id) DO UPDATE SET sum = sum + excluded.sum RETURNING sum";
constexpr char kAsk[] = "SELECT coalesce(max(sum), 0) FROM sums";

std::string SumIn(const google::protobuf::RepeatedPtrField<v1::SqlResult>& results) {
  const v1::SqlResult& last = results.Get(results.size() - 1);
  return last.rows().empty() ? "no row" : absl::StrCat(last.rows(0).values(0).integer());
}

std::unique_ptr<Call> CallSql(const Words& words, const std::string& id) {
  auto request = WithId<v1::ExecuteSqlRequest>(id);
  request.add_statements()->set_sql(kMakeTable);
  v1::SqlStatement* const statement = request.add_statements();
  statement->set_sql(words[0] == "sql" ? kAdd : kAsk);
  if (words[0] == "sql") statement->add_params()->set_integer(NumberOf(words[1]));
  return MakeCall(
      &PlainObject::ExecuteSql, std::move(request),
      +[](const v1::ExecuteSqlResponse& response) { return SumIn(response.results()); });
}

std::unique_ptr<Call> CallBatch(const Words& words, const std::string& id) {
  auto request = WithId<v1::ApplyBatchRequest>(id);
  v1::Entry* const put = request.add_steps()->mutable_put();
  put->set_key(words[1]);
  if (words[0] == "swap") {
    v1::Entry* const condition = request.add_preconditions()->mutable_etag_equals();
    condition->set_key(words[1]);
    condition->set_etag(actors::EtagOf(words[2]));
    put->set_value(words[3]);
    return MakeCall(&PlainObject::ApplyBatch, std::move(request), &Ok<v1::ApplyBatchResponse>);
  }
  put->set_value(words[2]);
  request.add_steps()->mutable_sql()->set_sql(kMakeTable);
  v1::SqlStatement* const add = request.add_steps()->mutable_sql();
  add->set_sql(kAdd);
  add->add_params()->set_integer(NumberOf(words[3]));
  return MakeCall(
      &PlainObject::ApplyBatch, std::move(request),
      +[](const v1::ApplyBatchResponse& response) { return SumIn(response.sql_results()); });
}

std::unique_ptr<Call> CallGet(const Words& keys) {
  v1::GetEntriesRequest request;
  for (const std::string& key : keys) request.add_keys(key);
  return MakeCall(&actors::Object::GetEntries, std::move(request), &EntriesIn<v1::GetEntriesResponse>);
}

std::unique_ptr<Call> CallPlain(absl::string_view text, const std::string& id) {
  const Words words = absl::StrSplit(text, ' ');
  const std::string& verb = words[0];
  if (verb == "put" || verb == "put2") {
    auto request = WithId<v1::PutEntriesRequest>(id);
    for (size_t i = 1; i < words.size(); i += 2) AddPut(words[i], words[i + 1], &request);
    return MakeCall(&PlainObject::PutEntries, std::move(request), &Ok<v1::PutEntriesResponse>);
  }
  if (verb == "get") return CallGet({words[1]});
  if (verb == "list") {
    return MakeCall(&actors::Object::ListEntries, v1::ListEntriesRequest(), &EntriesIn<v1::ListEntriesResponse>);
  }
  if (verb == "delete") {
    auto request = WithId<v1::DeleteEntriesRequest>(id);
    request.add_keys(words[1]);
    return MakeCall(
        &PlainObject::DeleteEntries, std::move(request),
        +[](const v1::DeleteEntriesResponse& response) { return absl::StrCat(response.deleted_count()); });
  }
  if (verb == "wipe") {
    return MakeCall(&PlainObject::DeleteAll, WithId<v1::DeleteAllRequest>(id), &Ok<v1::DeleteAllResponse>);
  }
  return verb == "sql" || verb == "ask" ? CallSql(words, id) : CallBatch(words, id);
}

// --- Ledgers

std::unique_ptr<Call> CallLedger(absl::string_view text, const std::string& id) {
  const Words words = absl::StrSplit(text, ' ');
  if (words[0] == "look") return CallGet({"a", "b"});
  auto request = WithId<v1::IncrementRequest>(id);
  request.set_amount(NumberOf(words[1]));
  return MakeCall(words[0] == "move" ? &Ledger::Move : &Ledger::Fail, std::move(request),
                  &ValueIn<v1::IncrementResponse>);
}

}  // namespace

Kind CounterKind() { return {&Counter::Class(), &CounterModel(), CallCounter}; }
Kind LimiterKind() { return {&RateLimiter::Class(), &LimiterModel(), CallLimiter}; }
Kind PlainKind() { return {&PlainObject::Class(), &PlainModel(), CallPlain}; }
Kind LedgerKind(bool interleaving) {
  return {interleaving ? &Ledger::InterleavingClass() : &Ledger::Class(), &LedgerModel(), CallLedger};
}

}  // namespace holdfast::simulation
