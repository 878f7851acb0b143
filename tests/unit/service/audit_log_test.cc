// The audit log: its lines, its bounds, its files.

#include "service/access/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/simulation/node.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() {
    char path[] = "/tmp/holdfast-audit-XXXXXX";
    directory_ = mkdtemp(path);
    config_.set_file(directory_ + "/audit.log");
    config_.set_file_bytes_max(64 << 10);
    config_.set_files_max(2);
    config_.set_refusals_per_second_max(3);
  }
  ~AuditLogTest() override { std::filesystem::remove_all(directory_); }

  void Open() {
    auto log = AuditLog::Open(config_, &clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  std::vector<nlohmann::json> Lines(const std::string& name = "/audit.log") const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(directory_ + name);
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  std::string directory_;
  config::v1::AuditConfig config_;
  simulation::VirtualClock clock_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditLogTest, ALineHasWhatIsKnown) {
  Open();
  log_->Write({.event = "admin", .principal = "web", .peer = "ipv4:1.2.3.4:5", .method = "A.B"});
  log_->WriteRefusal({.event = "refused", .ns = "a\"b\n\xff", .reason = "x"});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].dump(),
            "{\"event\":\"admin\",\"method\":\"A.B\",\"peer\":\"ipv4:1.2.3.4:5\",\"principal\":\"web\","
            "\"time\":\"2023-11-14T22:13:20.000Z\"}");
  EXPECT_EQ(lines[1]["namespace"], "a\"b\n\xef\xbf\xbd");
  EXPECT_FALSE(lines[1].contains("principal"));
}

TEST_F(AuditLogTest, RefusalsOfASecondAreBoundedAndCounted) {
  Open();
  for (int i = 0; i < 10; ++i) log_->WriteRefusal({.event = "refused"});
  EXPECT_EQ(Lines().size(), 3u);
  log_->Write({.event = "admin"});  // other lines have no such bound
  clock_.Advance(absl::Seconds(1));
  log_->WriteRefusal({.event = "refused"});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[4]["event"], "omitted");
  EXPECT_EQ(lines[4]["refusals"], 7);
}

TEST_F(AuditLogTest, FilesAreRotatedAndBounded) {
  Open();
  for (int i = 0; i < 5'000; ++i) log_->Write({.event = "write", .method = std::string(100, 'm')});
  EXPECT_FALSE(Lines("/audit.1.log").empty());
  EXPECT_FALSE(Lines("/audit.2.log").empty());
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    ++files;
    EXPECT_LE(entry.file_size(), 64u << 10);
  }
  EXPECT_EQ(files, 3);
}

TEST_F(AuditLogTest, NamespacesOfWritesArePatterns) {
  config_.add_writes_of_namespace("shop-*");
  Open();
  EXPECT_TRUE(log_->WantsWritesOf("shop-1"));
  EXPECT_FALSE(log_->WantsWritesOf("shop"));
}

TEST_F(AuditLogTest, AFileThatCannotBeOpenedIsNamed) {
  config_.set_file("/proc/none/audit.log");
  EXPECT_THAT(std::string(AuditLog::Open(config_, &clock_).status().message()),
              HasSubstr("audit.file: /proc/none/audit.log: "));
}

}  // namespace
}  // namespace holdfast::service
