// A fixture for the tests of batches: calls to one object, "mail", and its processed items.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_BATCH_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_BATCH_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/batch_processor.h"
#include "actors/wire/wire_time.h"
#include "tests/unit/actors/node_test.h"
#include "tests/unit/actors/objects/from_wire.h"

namespace holdfast::actors {

class BatchProcessorTest : public NodeTest {
 protected:
  BatchProcessorTest() { classes = {&BatchProcessor::Class()}; }

  std::shared_ptr<Sent<v1::AddItemsResponse>> SendAdd(const std::vector<std::string>& items,
                                                      const std::string& name = "mail") {
    v1::AddItemsRequest request;
    for (const std::string& item : items) request.add_items(item);
    return Send(name, &BatchProcessor::AddItems, request);
  }
  v1::AddItemsResponse Add(const std::vector<std::string>& items) {
    auto sent = SendAdd(items);
    node->Settle();
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  // Returns `count` items, the numbers from `first` on.
  static std::vector<std::string> Numbers(int first, int count) {
    std::vector<std::string> items;
    for (int i = first; i < first + count; ++i) items.push_back(absl::StrCat("item", i));
    return items;
  }
  std::shared_ptr<Sent<v1::FlushBatchResponse>> SendFlush() {
    return Send("mail", &BatchProcessor::FlushBatch, v1::FlushBatchRequest());
  }
  int64_t Flush() {
    auto sent = SendFlush();
    node->Settle();
    EXPECT_TRUE(sent->ok());
    return sent->response.processed_count();
  }
  v1::GetBatchStatusResponse Status(const std::string& name = "mail") {
    auto sent = Ask(name, &BatchProcessor::GetBatchStatus, v1::GetBatchStatusRequest());
    EXPECT_TRUE(sent->ok());
    return sent->response;
  }
  std::shared_ptr<Sent<v1::ConfigureBatchResponse>> Configure(const v1::BatchConfig& config,
                                                              const std::vector<std::string>& mask = {}) {
    v1::ConfigureBatchRequest request;
    *request.mutable_config() = config;
    for (const std::string& path : mask) request.mutable_update_mask()->add_paths(path);
    return Ask("mail", &BatchProcessor::ConfigureBatch, request);
  }
  void SetMaxItems(int32_t max_items) {
    v1::BatchConfig config;
    config.set_max_items(max_items);
    Configure(config);
  }
  v1::ListProcessedItemsResponse List(const v1::ListProcessedItemsRequest& request = {},
                                      const std::string& name = "mail") {
    auto sent = Ask(name, &BatchProcessor::ListProcessedItems, request);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  // Returns the processed items of all pages.
  std::vector<v1::ProcessedItem> Processed(const std::string& name = "mail") {
    std::vector<v1::ProcessedItem> items;
    v1::ListProcessedItemsRequest request;
    request.set_page_size(1000);
    do {
      const auto page = List(request, name);
      items.insert(items.end(), page.items().begin(), page.items().end());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return items;
  }
  std::vector<std::string> ProcessedTexts() {
    std::vector<std::string> texts;
    for (const v1::ProcessedItem& item : Processed()) texts.push_back(item.item());
    return texts;
  }
  int64_t Trim(int64_t up_to) {
    v1::TrimProcessedItemsRequest request;
    request.set_up_to_sequence(up_to);
    auto sent = Ask("mail", &BatchProcessor::TrimProcessedItems, request);
    EXPECT_TRUE(sent->ok());
    return sent->response.removed_count();
  }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_BATCH_FIXTURE_H_
