// The commands of `holdfast watch`. Time passes when the tool sleeps.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WatchTest : public ToolTest {
 protected:
  Result Watch(const std::vector<std::string>& words, bool is_terminal = false) {
    return Tool(words, "", is_terminal,
                {.now = [this] { return now_; },
                 .sleep =
                     [this](absl::Duration time) {
                       sleeps_.push_back(time);
                       now_ += time;
                       if (on_sleep_) on_sleep_();
                     }});
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  std::vector<absl::Duration> sleeps_;
  std::function<void()> on_sleep_;
};

class CounterWatchTest : public WatchTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    server_.On<v1::GetValueRequest, v1::GetValueResponse>(
        "/holdfast.v1.CounterService/GetValue",
        [this](const v1::GetValueRequest& request, v1::GetValueResponse* reply) {
          request_ = request.ShortDebugString();
          reply->set_value(values_[request.object().name()]);
          return grpc::Status::OK;
        });
  }

  std::map<std::string, int64_t> values_;
};

TEST_F(CounterWatchTest, CountersArePrintedAtFirstAndWhenTheyChange) {
  values_ = {{"a", 3}, {"b", -1}};
  on_sleep_ = [this] {
    if (sleeps_.size() == 2) values_["a"] = 10;
    if (sleeps_.size() == 3) values_["b"] = -5;
  };
  const Result result = Watch({"watch", "counter", "a", "b", "--count", "4", "--interval", "5s"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out,
            "TIME                  VALUE  CHANGE  NAME\n"
            "2023-11-14T22:13:20Z  3              a\n"
            "2023-11-14T22:13:20Z  -1             b\n"
            "2023-11-14T22:13:30Z  10     +7      a\n"
            "2023-11-14T22:13:35Z  -5     -4      b\n");
  EXPECT_THAT(sleeps_, ElementsAre(absl::Seconds(5), absl::Seconds(5), absl::Seconds(5)));
}

TEST_F(CounterWatchTest, Json) {
  on_sleep_ = [this] { values_["a"] = INT64_MAX; };
  values_["a"] = -1;
  const Result result = Watch({"watch", "counter", "a", "--count", "2", "--json", "--namespace", "n"});
  EXPECT_EQ(request_, "object { namespace: \"n\" name: \"a\" }");
  // The difference wraps around, as the numbers of the server do not.
  EXPECT_EQ(result.out,
            "{\"name\":\"a\",\"value\":\"-1\",\"change\":\"0\",\"time\":\"2023-11-14T22:13:20Z\"}\n"
            "{\"name\":\"a\",\"value\":\"9223372036854775807\",\"change\":\"-9223372036854775808\","
            "\"time\":\"2023-11-14T22:13:21Z\"}\n");
}

TEST_F(CounterWatchTest, ALookThatFailsEndsIt) {
  Fail<v1::GetValueRequest, v1::GetValueResponse>(
      "/holdfast.v1.CounterService/GetValue", Error(grpc::StatusCode::PERMISSION_DENIED, "no", "PERMISSION_DENIED"));
  const Result result = Watch({"watch", "counter", "a"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("PERMISSION_DENIED"));
}

TEST_F(CounterWatchTest, AnOutputThatIsGoneEndsIt) {
  std::istringstream in;
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  const char* const argv[] = {"holdfast", "watch", "counter", "a"};
  EXPECT_EQ(RunTool(4, argv, {in}, out, err), 1);
}

TEST_F(CounterWatchTest, Bounds) {
  ExpectUsage({"watch", "counter", "a", "--interval", "99ms"}, "--interval: must be from 100ms to 1h");
  ExpectUsage({"watch", "counter", "a", "--interval", "61m"}, "--interval: must be from 100ms to 1h");
  ExpectUsage({"watch", "counter", "a", "--count", "0"},
              "--count: '0' is not a whole number from 1 to 9223372036854775807");
  ExpectUsage({"watch", "counter", "a", "--request-id", "x"}, "this command takes no --request-id");
  std::vector<std::string> words = {"watch", "counter"};
  words.resize(103, "c");
  ExpectUsage(words, "NAME: at most 100 counters");
  ExpectUsage({"watch", "conter"}, "unknown command or argument: conter; did you mean counter?");
  ExpectUsage({"wach"}, "unknown command or argument: wach; did you mean watch?");
}

// The items that are processed have some sequences of those below.
class BatchWatchTest : public WatchTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    server_.On<v1::ListProcessedItemsRequest, v1::ListProcessedItemsResponse>(
        "/holdfast.v1.BatchProcessorService/ListProcessedItems",
        [this](const v1::ListProcessedItemsRequest& request, v1::ListProcessedItemsResponse* reply) {
          ++calls_;
          request_ = request.ShortDebugString();
          EXPECT_EQ(request.page_token(), "");
          for (auto item = std::ranges::upper_bound(items_, request.after_sequence()); item != items_.end(); ++item) {
            if (reply->items_size() == request.page_size()) {
              reply->set_next_page_token("more");
              break;
            }
            v1::ProcessedItem& added = *reply->add_items();
            added.set_sequence(*item);
            added.set_item(absl::StrCat("item ", *item));
            added.mutable_process_time()->set_seconds(1'700'000'000);
          }
          return grpc::Status::OK;
        });
  }

  std::vector<int64_t> items_;  // sorted
  int calls_ = 0;
};

TEST_F(BatchWatchTest, ItemsArePrintedAsTheyAreProcessed) {
  items_ = {1, 2};
  on_sleep_ = [this] {
    if (sleeps_.size() == 2) items_.insert(items_.end(), {3, 4});
    if (sleeps_.size() == 3) items_.push_back(5);
  };
  const Result result = Watch({"watch", "batch", "mail", "--count", "3", "--namespace", "n"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(request_, "object { namespace: \"n\" name: \"mail\" } page_size: 1000 after_sequence: 4");
  EXPECT_EQ(result.out,
            "SEQUENCE  PROCESSED             ITEM\n"
            "3         2023-11-14T22:13:20Z  item 3\n"
            "4         2023-11-14T22:13:20Z  item 4\n"
            "5         2023-11-14T22:13:20Z  item 5\n");
}

TEST_F(BatchWatchTest, ItemsThatAreThereArePrintedWhereTheyAreAskedFor) {
  items_ = {1, 2, 3};
  EXPECT_EQ(Watch({"watch", "batch", "mail", "--count", "2", "--after", "1", "--json"}).out,
            "{\"sequence\":\"2\",\"item\":\"item 2\",\"process_time\":\"2023-11-14T22:13:20Z\"}\n"
            "{\"sequence\":\"3\",\"item\":\"item 3\",\"process_time\":\"2023-11-14T22:13:20Z\"}\n");
  EXPECT_EQ(calls_, 1);
}

TEST_F(BatchWatchTest, PagesThatAreFullAreFollowedAtOnce) {
  for (int64_t i = 1; i <= 2500; ++i) items_.push_back(i);
  const Result result = Watch({"watch", "batch", "mail", "--count", "2500", "--after", "0"});
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 2501);
  EXPECT_EQ(calls_, 3);
  EXPECT_TRUE(sleeps_.empty());
}

// The watch begins after the last item, wherever it is, and finds it in a bounded number of calls.
TEST_F(BatchWatchTest, TheLastItemIsFoundAmongAnyNumber) {
  const std::vector<std::vector<int64_t>> cases = {
      {}, {1}, {7}, {1, 2, 3}, {1000, 1001, 5'000'000}, {1, INT64_MAX}, {INT64_MAX - 1}};
  for (const std::vector<int64_t>& items : cases) {
    items_ = items;
    calls_ = 0;
    sleeps_.clear();
    int64_t next = items.empty() ? 1 : items.back() == INT64_MAX ? INT64_MAX : items.back() + 1;
    on_sleep_ = [this, next] { items_.push_back(next); };
    if (next == INT64_MAX && !items.empty() && items.back() == INT64_MAX) continue;  // nothing can follow it
    const Result result = Watch({"watch", "batch", "mail", "--count", "1"});
    EXPECT_THAT(result.out, HasSubstr(absl::StrCat("item ", next, "\n")));
    EXPECT_LE(calls_, 128);
  }
}

}  // namespace
}  // namespace holdfast::client
