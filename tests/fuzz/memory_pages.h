// The pages of a SQL database in memory.

#ifndef HOLDFAST_TESTS_FUZZ_MEMORY_PAGES_H_
#define HOLDFAST_TESTS_FUZZ_MEMORY_PAGES_H_

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "storage/sql/page_source.h"

namespace holdfast::fuzz {

class MemoryPages : public storage::sql::PageSource {
 public:
  using Pages = std::vector<std::string>;

  MemoryPages() = default;
  explicit MemoryPages(Pages pages) : pages_(std::move(pages)) {}

  const Pages& pages() const { return pages_; }
  void set_pages(Pages pages) { pages_ = std::move(pages); }

  absl::StatusOr<uint32_t> PageCount() override { return static_cast<uint32_t>(pages_.size()); }
  absl::Status ReadPage(uint32_t number, char* page) override {
    std::memcpy(page, pages_.at(number - 1).data(), storage::sql::kPageBytes);
    return absl::OkStatus();
  }
  absl::Status WritePage(uint32_t number, absl::string_view page) override {
    if (number > pages_.size()) pages_.resize(number, std::string(storage::sql::kPageBytes, '\0'));
    pages_[number - 1] = std::string(page);
    return absl::OkStatus();
  }
  absl::Status Truncate(uint32_t page_count) override {
    if (page_count < pages_.size()) pages_.resize(page_count);
    return absl::OkStatus();
  }

 private:
  Pages pages_;
};

}  // namespace holdfast::fuzz

#endif  // HOLDFAST_TESTS_FUZZ_MEMORY_PAGES_H_
