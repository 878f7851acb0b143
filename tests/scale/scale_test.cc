// Many objects come and go and leave nothing behind: they are listed in order while they are there, and once they are
// deleted and the records of their requests have expired, the data directory is as small as that of an empty store.
//
//   HOLDFAST_SCALE_OBJECTS   the number of objects; default 2,000

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"
#include "tests/unit/storage/raw_rocksdb.h"

namespace holdfast::testing {
namespace {

using v1::ObjectService;

constexpr int kInFlightMax = 256;
constexpr int64_t kRecordAgeMs = 2000;
constexpr int kExpiryTriesMax = 10;
constexpr uint64_t kLeftBytesMax = 4 << 20;

int Objects() {
  int objects = 2000;
  if (const char* const text = std::getenv("HOLDFAST_SCALE_OBJECTS")) (void)absl::SimpleAtoi(text, &objects);
  return objects;
}

std::string NameOf(int i) { return absl::StrCat("object", i); }

// Makes calls of one stub, with a bounded number at a time.
class Calls {
 public:
  explicit Calls(const ServerProcess& server) : stub_(ObjectService::NewStub(server.NewChannel())) {}
  ~Calls() { Wait(); }

  // `begin` begins a call through the callback interface.
  template <typename Response, typename Request, typename Begin>
  void Send(const Request& request, Begin begin) {
    struct Call {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return in_flight_ < kInFlightMax; });
      ++in_flight_;
    }
    auto call = std::make_shared<Call>();
    call->request = request;
    begin(stub_->async(), &call->context, &call->request, &call->response, [this, call](grpc::Status status) {
      std::lock_guard lock(mutex_);
      if (!status.ok() && failures_++ == 0) ADD_FAILURE() << status.error_message();
      --in_flight_;
      changed_.notify_all();
    });
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_ == 0; });
  }
  ObjectService::Stub& stub() { return *stub_; }

 private:
  const std::unique_ptr<ObjectService::Stub> stub_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int in_flight_ = 0;  // guarded by mutex_
  int failures_ = 0;   // guarded by mutex_
};

void Create(Calls* calls, int objects) {
  for (int i = 0; i < objects; ++i) {
    v1::PutEntriesRequest request;
    request.mutable_object()->set_name(NameOf(i));
    request.set_request_id("create");
    v1::Entry* const entry = request.add_entries();
    entry->set_key("key");
    entry->set_value(absl::StrCat("value of ", i));
    calls->Send<v1::PutEntriesResponse>(request, [](auto* stub, auto* context, auto* sent, auto* response, auto done) {
      stub->PutEntries(context, sent, response, std::move(done));
    });
  }
  calls->Wait();
}

void Delete(Calls* calls, int objects) {
  for (int i = 0; i < objects; ++i) {
    v1::DeleteAllRequest request;
    request.mutable_object()->set_name(NameOf(i));
    request.set_request_id("delete");
    calls->Send<v1::DeleteAllResponse>(request, [](auto* stub, auto* context, auto* sent, auto* response, auto done) {
      stub->DeleteAll(context, sent, response, std::move(done));
    });
  }
  calls->Wait();
}

// Lists every object once, in the order of their names; returns the number of objects.
int ListAll(ObjectService::Stub& stub) {
  v1::ListObjectsRequest request;
  request.set_page_size(1000);
  int count = 0;
  std::string last;
  do {
    const auto page = Invoke(stub, &ObjectService::Stub::ListObjects, request);
    EXPECT_TRUE(page.ok()) << page.status.error_message();
    if (!page.ok()) return -1;
    for (const v1::ObjectSummary& summary : page->objects()) {
      EXPECT_LT(last, summary.object().name()) << "out of order";
      last = summary.object().name();
      EXPECT_EQ(summary.object().object_class(), "Object");
      ++count;
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return count;
}

uint64_t BytesIn(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

// Returns the number of entries in all families of a stopped server, without the store's header.
int64_t EntriesLeft(const std::string& data_dir) {
  storage::RawRocksDb db(data_dir);
  int64_t count = 0;
  for (const auto& [name, family] : db.families()) {
    const std::unique_ptr<rocksdb::Iterator> entries(db->NewIterator({}, family));
    for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
      if (!entries->key().starts_with("log")) ++count;
    }
  }
  return count - 2;  // the header and its copy
}

void Compact(const std::string& data_dir) {
  storage::RawRocksDb db(data_dir);
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  for (const auto& [name, family] : db.families())
    EXPECT_TRUE(db->CompactRange(options, family, nullptr, nullptr).ok());
}

// Starts and stops a server on the store, and returns the size of the data directory.
uint64_t BytesWhenServed(const std::string& data_dir, const std::string& config) {
  ServerProcess server(data_dir, config);
  EXPECT_EQ(server.Terminate(), 0);
  return BytesIn(data_dir);
}

TEST(ScaleTest, ObjectsComeAndGoAndLeaveNothing) {
  const int objects = Objects();
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  const std::string config = absl::StrCat("storage { request_record_age_ms: ", kRecordAgeMs, " }");
  const absl::Time begin = absl::Now();
  absl::Duration create_time;
  absl::Duration list_time;
  absl::Duration delete_time;
  {
    ServerProcess server(data_dir, config);
    Calls calls(server);
    Create(&calls, objects);
    create_time = absl::Now() - begin;
    const absl::Time list_begin = absl::Now();
    EXPECT_EQ(ListAll(calls.stub()), objects);
    list_time = absl::Now() - list_begin;
    const absl::Time delete_begin = absl::Now();
    Delete(&calls, objects);
    delete_time = absl::Now() - delete_begin;
    EXPECT_EQ(ListAll(calls.stub()), 0);
    absl::SleepFor(absl::Milliseconds(kRecordAgeMs));
    EXPECT_EQ(server.Terminate(), 0);
  }
  const uint64_t before = BytesIn(data_dir);
  // The test does not require old records to go fast, but they must go.
  int64_t left = EntriesLeft(data_dir);
  for (int tries = 0; left > 0 && tries < kExpiryTriesMax; ++tries) {
    ServerProcess server(data_dir, config);
    absl::SleepFor(absl::Milliseconds(kRecordAgeMs));
    EXPECT_EQ(server.Terminate(), 0);
    left = EntriesLeft(data_dir);
  }
  EXPECT_EQ(left, 0) << "something is left of objects that are deleted, or of their requests";
  Compact(data_dir);
  const uint64_t after = BytesWhenServed(data_dir, config);
  const uint64_t empty = BytesWhenServed(directory.path() + "/empty", config);
  std::printf(
      "%d objects: created in %.1f s, listed in %.1f s, deleted in %.1f s; %.1f MiB on disk then, %.2f MiB after their "
      "records expired and a compaction; an empty store has %.2f MiB\n",
      objects, absl::ToDoubleSeconds(create_time), absl::ToDoubleSeconds(list_time), absl::ToDoubleSeconds(delete_time),
      static_cast<double>(before) / (1 << 20), static_cast<double>(after) / (1 << 20),
      static_cast<double>(empty) / (1 << 20));
  EXPECT_LE(after, empty + kLeftBytesMax);
}

}  // namespace
}  // namespace holdfast::testing
