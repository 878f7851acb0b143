#include "tests/crash/object_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::testing {
namespace {

using v1::BatchProcessorService;
using v1::CounterService;
using v1::ObjectService;

// The large object grows by this many parts of kPartBytes bytes, then it is emptied.
constexpr int64_t kParts = 12;
constexpr size_t kPartBytes = 150'000;
constexpr int64_t kCountsKept = 5;
constexpr int kBatchDelayNanos = 150'000'000;

std::string Part(int64_t growth) {
  std::string part(kPartBytes, static_cast<char>('a' + growth % 26));
  part.replace(0, 20, absl::StrCat("part of ", growth, "                    ").substr(0, 20));
  return part;
}

int64_t Micros(const google::protobuf::Timestamp& time) { return time.seconds() * 1'000'000 + time.nanos() / 1000; }

}  // namespace

std::string ObjectWriter::Name(const std::string& what) const { return absl::StrCat(what, index_); }

std::string ObjectWriter::NextId() { return absl::StrCat("writer", index_, "-", ++next_id_); }

bool ObjectWriter::Write(const Stubs& stubs) {
  created_ = false;
  switch (random_() % 8) {
    case 0:
      return PutTogether(stubs);
    case 1:
      return Grow(stubs);
    case 2:
    case 3:
      return ComeOrGo(stubs);
    case 4:
      return Count(stubs);
    case 5:
      return Increment(stubs);
    default:
      return AddItems(stubs);
  }
}

bool ObjectWriter::PutTogether(const Stubs& stubs) {
  v1::PutEntriesRequest request;
  request.mutable_object()->set_name(Name("together"));
  request.set_request_id(NextId());
  for (const char* key : {"a", "b", "c"}) {
    v1::Entry* const entry = request.add_entries();
    entry->set_key(key);
    entry->set_value(absl::StrCat(revision_ + 1));
  }
  return calls_.Send(
      stubs, MakeRetried<ObjectService::Stub, v1::PutEntriesRequest, v1::PutEntriesResponse>(
                 &Stubs::objects, &ObjectService::Stub::PutEntries, request, [this](const auto&) { ++revision_; }));
}

bool ObjectWriter::Grow(const Stubs& stubs) {
  if ((growth_ + 1) % kParts == 0) {
    v1::DeleteAllRequest request;
    request.mutable_object()->set_name(Name("large"));
    request.set_request_id(NextId());
    return calls_.Send(
        stubs, MakeRetried<ObjectService::Stub, v1::DeleteAllRequest, v1::DeleteAllResponse>(
                   &Stubs::objects, &ObjectService::Stub::DeleteAll, request, [this](const auto&) { ++growth_; }));
  }
  v1::ApplyBatchRequest request;
  request.mutable_object()->set_name(Name("large"));
  request.set_request_id(NextId());
  v1::Entry* const part = request.add_steps()->mutable_put();
  part->set_key(absl::StrCat("part", (growth_ + 1) % kParts));
  part->set_value(Part(growth_ + 1));
  v1::Entry* const growth = request.add_steps()->mutable_put();
  growth->set_key("growth");
  growth->set_value(absl::StrCat(growth_ + 1));
  return calls_.Send(
      stubs, MakeRetried<ObjectService::Stub, v1::ApplyBatchRequest, v1::ApplyBatchResponse>(
                 &Stubs::objects, &ObjectService::Stub::ApplyBatch, request, [this](const auto&) { ++growth_; }));
}

bool ObjectWriter::ComeOrGo(const Stubs& stubs) {
  if (changes_ % 2 == 1) {
    v1::CleanupRequest request;
    request.mutable_object()->set_name(Name("brief"));
    request.set_request_id(NextId());
    return calls_.Send(
        stubs, MakeRetried<ObjectService::Stub, v1::CleanupRequest, v1::CleanupResponse>(
                   &Stubs::objects, &ObjectService::Stub::Cleanup, request, [this](const auto&) { ++changes_; }));
  }
  v1::PutEntriesRequest request;
  request.mutable_object()->set_name(Name("brief"));
  request.set_request_id(NextId());
  created_ = true;
  v1::Entry* const entry = request.add_entries();
  entry->set_key("change");
  entry->set_value(absl::StrCat(changes_ + 1));
  return calls_.Send(
      stubs, MakeRetried<ObjectService::Stub, v1::PutEntriesRequest, v1::PutEntriesResponse>(
                 &Stubs::objects, &ObjectService::Stub::PutEntries, request, [this](const auto&) { ++changes_; }));
}

// A second effect is refused by its condition, and a lost effect leaves a gap.
bool ObjectWriter::Count(const Stubs& stubs) {
  v1::ApplyBatchRequest request;
  request.mutable_object()->set_name(Name("count"));
  request.set_request_id(NextId());
  const std::string mark = absl::StrCat("mark", count_ + 1);
  request.add_preconditions()->set_key_absent(mark);
  request.add_steps()->mutable_put()->set_key(mark);
  request.add_steps()->set_delete_key(absl::StrCat("mark", count_ + 1 - kCountsKept));
  v1::Entry* const count = request.add_steps()->mutable_put();
  count->set_key("count");
  count->set_value(absl::StrCat(count_ + 1));
  return calls_.Send(
      stubs, MakeRetried<ObjectService::Stub, v1::ApplyBatchRequest, v1::ApplyBatchResponse>(
                 &Stubs::objects, &ObjectService::Stub::ApplyBatch, request, [this](const auto&) { ++count_; }));
}

bool ObjectWriter::Increment(const Stubs& stubs) {
  v1::IncrementRequest request;
  request.mutable_object()->set_name(Name("increments"));
  request.set_request_id(NextId());
  return calls_.Send(stubs, MakeRetried<CounterService::Stub, v1::IncrementRequest, v1::IncrementResponse>(
                                &Stubs::counters, &CounterService::Stub::Increment, request, [this](const auto& reply) {
                                  if (reply.value() == ++increments_) return;
                                  calls_.differences.push_back(absl::StrCat(Name("increments"), " said ", reply.value(),
                                                                            " to increment ", increments_));
                                }));
}

bool ObjectWriter::AddItems(const Stubs& stubs) {
  if (!configured_) {
    v1::ConfigureBatchRequest configure;
    configure.mutable_object()->set_name(Name("batch"));
    configure.set_request_id(NextId());
    configure.mutable_config()->mutable_delay()->set_nanos(kBatchDelayNanos);
    return calls_.Send(stubs,
                       MakeRetried<BatchProcessorService::Stub, v1::ConfigureBatchRequest, v1::ConfigureBatchResponse>(
                           &Stubs::batches, &BatchProcessorService::Stub::ConfigureBatch, configure,
                           [this](const auto&) { configured_ = true; }));
  }
  v1::AddItemsRequest request;
  request.mutable_object()->set_name(Name("batch"));
  request.set_request_id(NextId());
  for (int i = 0; i < 2; ++i) request.add_items(absl::StrCat("item", ++next_item_));
  return calls_.Send(
      stubs, MakeRetried<BatchProcessorService::Stub, v1::AddItemsRequest, v1::AddItemsResponse>(
                 &Stubs::batches, &BatchProcessorService::Stub::AddItems, request, [this, request](const auto& reply) {
                   for (const std::string& item : request.items()) {
                     items_[item] = Micros(reply.next_flush_time());
                   }
                 }));
}

std::vector<std::string> ObjectWriter::Verify(const Stubs& stubs) {
  repeated_ += calls_.Repeat(stubs);
  VerifyTogether(stubs);
  VerifyLarge(stubs);
  VerifyBrief(stubs);
  VerifyCount(stubs);
  VerifyItems(stubs);
  NotePlaces(stubs);
  return std::exchange(calls_.differences, {});
}

std::map<std::string, std::string> ObjectWriter::ReadAll(const Stubs& stubs, const std::string& object) {
  std::map<std::string, std::string> entries;
  v1::ListEntriesRequest request;
  request.mutable_object()->set_name(object);
  do {
    const auto page = Call(stubs, &Stubs::objects, &ObjectService::Stub::ListEntries, request);
    if (!page.ok()) {
      calls_.differences.push_back(absl::StrCat(object, ": ", page.status.error_message()));
      break;
    }
    for (const v1::Entry& entry : page->entries()) entries[entry.key()] = entry.value();
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return entries;
}

void ObjectWriter::VerifyTogether(const Stubs& stubs) {
  std::map<std::string, std::string> expected;
  if (revision_ > 0) {
    for (const char* key : {"a", "b", "c"}) expected[key] = absl::StrCat(revision_);
  }
  if (const auto found = ReadAll(stubs, Name("together")); found != expected) {
    calls_.differences.push_back(absl::StrCat(Name("together"), " has ", found.size(), " entries, the first is of ",
                                              found.empty() ? "" : found.begin()->second, "; acknowledged was ",
                                              revision_));
  }
}

void ObjectWriter::VerifyLarge(const Stubs& stubs) {
  std::map<std::string, std::string> expected;
  for (int64_t part = 1; part <= growth_ % kParts; ++part) {
    const int64_t growth = growth_ - growth_ % kParts + part;
    expected[absl::StrCat("part", part)] = Part(growth);
    expected["growth"] = absl::StrCat(growth);
  }
  if (const auto found = ReadAll(stubs, Name("large")); found != expected) {
    calls_.differences.push_back(absl::StrCat(Name("large"), " has ", found.size(), " entries at growth ",
                                              found.contains("growth") ? found.at("growth") : "", "; acknowledged was ",
                                              growth_, " with ", expected.size()));
  }
}

void ObjectWriter::VerifyBrief(const Stubs& stubs) {
  std::map<std::string, std::string> expected;
  if (changes_ % 2 == 1) expected["change"] = absl::StrCat(changes_);
  if (const auto found = ReadAll(stubs, Name("brief")); found != expected) {
    calls_.differences.push_back(absl::StrCat(
        Name("brief"), " is at ", found.empty() ? "nothing" : found.begin()->second, "; acknowledged was ", changes_));
  }
}

void ObjectWriter::VerifyCount(const Stubs& stubs) {
  std::map<std::string, std::string> expected;
  for (int64_t i = std::max<int64_t>(1, count_ + 1 - kCountsKept); i <= count_; ++i) {
    expected[absl::StrCat("mark", i)] = "";
    expected["count"] = absl::StrCat(i);
  }
  if (const auto found = ReadAll(stubs, Name("count")); found != expected) {
    calls_.differences.push_back(absl::StrCat(Name("count"), " is at ",
                                              found.contains("count") ? found.at("count") : "nothing",
                                              "; acknowledged was ", count_));
  }
  v1::GetValueRequest get;
  get.mutable_object()->set_name(Name("increments"));
  const auto value = Call(stubs, &Stubs::counters, &CounterService::Stub::GetValue, get);
  if (!value.ok() || value->value() != increments_) {
    calls_.differences.push_back(
        absl::StrCat(Name("increments"), " is at ", value->value(), "; acknowledged was ", increments_));
  }
}

int64_t ObjectWriter::PendingItems(const Stubs& stubs) {
  v1::GetBatchStatusRequest request;
  request.mutable_object()->set_name(Name("batch"));
  const auto status = Call(stubs, &Stubs::batches, &BatchProcessorService::Stub::GetBatchStatus, request);
  const int64_t all = status->processed_count() + status->pending_count();
  if (!status.ok() || all != static_cast<int64_t>(items_.size())) {
    calls_.differences.push_back(
        absl::StrCat(Name("batch"), " has ", all, " items; acknowledged were ", items_.size()));
  }
  return status->pending_count();
}

void ObjectWriter::VerifyItems(const Stubs& stubs) {
  PendingItems(stubs);
  std::set<std::string> seen;
  v1::ListProcessedItemsRequest list;
  list.mutable_object()->set_name(Name("batch"));
  list.set_page_size(1000);
  do {
    const auto page = Call(stubs, &Stubs::batches, &BatchProcessorService::Stub::ListProcessedItems, list);
    for (const v1::ProcessedItem& item : page->items()) {
      const auto known = items_.find(item.item());
      if (!seen.insert(item.item()).second || known == items_.end()) {
        calls_.differences.push_back(absl::StrCat(item.item(), " of ", Name("batch"), " came twice, or from nowhere"));
      } else if (Micros(item.process_time()) < known->second) {
        calls_.differences.push_back(absl::StrCat(item.item(), " of ", Name("batch"), " was processed ",
                                                  known->second - Micros(item.process_time()), " us early"));
      }
    }
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
}

void ObjectWriter::NotePlaces(const Stubs& stubs) {
  for (const char* what : {"together", "large", "brief", "count"}) {
    v1::DescribeObjectRequest request;
    request.mutable_object()->set_name(Name(what));
    const auto described = Call(stubs, &Stubs::objects, &ObjectService::Stub::DescribeObject, request);
    const auto [it, added] = places_.emplace(what, described->placement());
    if (!added && std::exchange(it->second, described->placement()) != described->placement()) ++moves_seen_;
  }
}

}  // namespace holdfast::testing
