// The files of the console as they are in the program.

#include "service/console/console_files.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/console/console_api.h"
#include "service/rpcs/builtin.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ConsoleFilesTest, ThePageIsAtTheRoot) {
  const ConsoleFile* const page = FindConsoleFile("/");
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
  EXPECT_THAT(std::string(page->body), HasSubstr("<!doctype html>"));
  EXPECT_EQ(FindConsoleFile("/console/index.html"), nullptr);
  EXPECT_EQ(FindConsoleFile("/console/../server.cc"), nullptr);
  EXPECT_EQ(FindConsoleFile(""), nullptr);
}

TEST(ConsoleFilesTest, EveryFileHasATypeAndAHashOfItsOwn) {
  std::set<std::string_view> etags;
  for (const ConsoleFile& file : ConsoleFiles()) {
    EXPECT_EQ(FindConsoleFile(file.path), &file);
    EXPECT_FALSE(file.content_type.empty()) << file.path;
    EXPECT_TRUE(std::regex_match(std::string(file.etag), std::regex("\"[0-9a-f]{32}\""))) << file.etag;
    EXPECT_TRUE(etags.insert(file.etag).second) << file.path;
  }
  EXPECT_GT(etags.size(), 10u);
}

// A browser asks for what the page and its modules name, and for nothing else.
TEST(ConsoleFilesTest, EveryFileThatIsNamedIsThere) {
  const std::regex named(R"re((?:href|src)="(/[^"#]*)"|from "\./([\w.-]+)"|readFile\("(/[^"]+)"\))re");
  int found = 0;
  for (const ConsoleFile& file : ConsoleFiles()) {
    const std::string body(file.body);
    for (std::sregex_iterator it(body.begin(), body.end(), named), end; it != end; ++it) {
      const std::string path = (*it)[2].matched   ? absl::StrCat("/console/", (*it)[2].str())
                               : (*it)[1].matched ? (*it)[1].str()
                                                  : (*it)[3].str();
      EXPECT_NE(ConsoleApi({}).FindFile(path), nullptr) << file.path << " names " << path;
      ++found;
    }
  }
  EXPECT_GT(found, 30);
}

// The policy of the page forbids these, and text of the server must never become markup.
TEST(ConsoleFilesTest, NothingMakesMarkupOrCodeOutOfText) {
  for (const ConsoleFile& file : ConsoleFiles()) {
    if (file.path.ends_with(".binpb")) continue;
    const std::string body(file.body);
    for (const char* word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
                             "DOMParser", "createContextualFragment", "srcdoc", "javascript:", "style=\""}) {
      EXPECT_THAT(body, Not(HasSubstr(word))) << file.path;
    }
    // The name of SVG's namespace is no request.
    const std::string without = std::regex_replace(body, std::regex("http://www.w3.org/2000/svg"), "");
    EXPECT_THAT(without, Not(HasSubstr("http://"))) << file.path;
    EXPECT_THAT(without, Not(HasSubstr("https://"))) << file.path;
  }
  const std::string page(FindConsoleFile("/")->body);
  EXPECT_FALSE(std::regex_search(page, std::regex(R"(<script[^>]*>[^<])"))) << "a script inside of the page";
  EXPECT_FALSE(std::regex_search(page, std::regex(R"(<style|\son\w+=)"))) << "a style or a handler inside of the page";
}

// Adds the files of a FileDescriptorSet, each of which must come after those that it imports.
void Build(std::string_view body, google::protobuf::DescriptorPool* pool) {
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromArray(body.data(), static_cast<int>(body.size())));
  for (const google::protobuf::FileDescriptorProto& file : set.file()) {
    ASSERT_NE(pool->BuildFile(file), nullptr) << file.name();
  }
}

TEST(ConsoleFilesTest, TheDescriptorsHaveEveryMethodWithItsComment) {
  const ConsoleFile* const api = FindConsoleFile("/console/api.binpb");
  ASSERT_NE(api, nullptr);
  google::protobuf::DescriptorPool pool;
  ASSERT_NO_FATAL_FAILURE(Build(api->body, &pool));
  int methods = 0;
  const Extension built_in = BuiltIn();
  for (const RpcTable::Service& service : built_in.services) {
    if (!absl::StartsWith(service.name, "holdfast.v1.")) continue;
    for (const RpcTable::Row& row : service.rows) {
      const google::protobuf::MethodDescriptor* const method = pool.FindMethodByName(row.method);
      ASSERT_NE(method, nullptr) << row.method;
      ++methods;
    }
  }
  EXPECT_GT(methods, 40);
  google::protobuf::SourceLocation location;
  ASSERT_TRUE(pool.FindMethodByName("holdfast.v1.CounterService.Increment")->GetSourceLocation(&location));
  EXPECT_THAT(location.leading_comments, HasSubstr("Adds the amount"));
}

constexpr char kServices[] = "/console/services.binpb";

TEST(ConsoleApiTest, ServicesBesideTheContractAreThereWithTheirMessages) {
  const ConsoleApi api({"holdfast.v1.CounterService", "envoy.service.ratelimit.v3.RateLimitService",
                        "grpc.reflection.v1.ServerReflection"});
  const ConsoleFile* const file = api.FindFile(kServices);
  ASSERT_NE(file, nullptr);
  EXPECT_TRUE(file->for_readers);
  EXPECT_FALSE(api.FindFile("/console/api.binpb")->for_readers);
  google::protobuf::DescriptorPool pool;
  ASSERT_NO_FATAL_FAILURE(Build(api.FindFile("/console/api.binpb")->body, &pool));
  ASSERT_NO_FATAL_FAILURE(Build(file->body, &pool)) << "the sets go together";
  const auto* const method = pool.FindMethodByName("envoy.service.ratelimit.v3.RateLimitService.ShouldRateLimit");
  ASSERT_NE(method, nullptr);
  EXPECT_GT(method->input_type()->field_count(), 0);
  EXPECT_EQ(pool.FindServiceByName("grpc.reflection.v1.ServerReflection"), nullptr);
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromArray(file->body.data(), static_cast<int>(file->body.size())));
  for (const auto& proto : set.file()) {
    for (const auto& message : proto.message_type()) {
      for (const auto& field : message.field()) EXPECT_NE(field.json_name(), "") << message.name() << field.name();
    }
  }
}

TEST(ConsoleApiTest, OtherDescriptorsHaveAnotherHash) {
  const ConsoleApi contract({"holdfast.v1.CounterService"});
  EXPECT_EQ(contract.FindFile(kServices)->body, "");
  const ConsoleApi more({"holdfast.v1.CounterService", "envoy.service.ratelimit.v3.RateLimitService"});
  const std::string etag(more.FindFile(kServices)->etag);
  EXPECT_TRUE(std::regex_match(etag, std::regex("\"[0-9a-f]{32}\""))) << etag;
  EXPECT_NE(etag, contract.FindFile(kServices)->etag);
}

TEST(ConsoleApiTest, TheOtherFilesAreThoseOfEveryServer) {
  const ConsoleApi api({"holdfast.v1.CounterService"});
  EXPECT_EQ(api.FindFile("/"), FindConsoleFile("/"));
  EXPECT_EQ(api.FindFile("/console/main.js"), FindConsoleFile("/console/main.js"));
  EXPECT_EQ(api.FindFile("/console/none.js"), nullptr);
}

}  // namespace
}  // namespace holdfast::service
