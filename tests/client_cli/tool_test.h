// Runs the tool as a function of its words, against a server whose answers a test chooses.

#ifndef HOLDFAST_TESTS_CLIENT_CLI_TOOL_TEST_H_
#define HOLDFAST_TESTS_CLIENT_CLI_TOOL_TEST_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "client/request_id.h"
#include "client/tool.h"
#include "tests/client_cli/fake_server.h"

namespace holdfast::client {

struct Result {
  int status;
  std::string out;
  std::string err;
};

// `in` is the tool's standard input. With `is_terminal` all of its streams are a terminal of 80 columns. The tool does
// not sleep between two looks, unless `surroundings` says so.
inline Result Tool(std::vector<std::string> words, const std::string& in = "", bool is_terminal = false,
                   Surroundings surroundings = {.sleep = [](absl::Duration) {}}) {
  std::vector<const char*> argv = {"holdfast"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  std::istringstream input(in);
  std::ostringstream out, err;
  if (is_terminal) surroundings.terminal.out = surroundings.terminal.err = true;
  const int status =
      RunTool(static_cast<int>(argv.size()), argv.data(), {input, is_terminal}, out, err, std::move(surroundings));
  return {status, out.str(), err.str()};
}

class ToolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("HOLDFAST_SERVER", server_.address().c_str(), 1);
    setenv("HOLDFAST_CONFIG", "/nonexistent/config", 1);  // not the contexts of whoever runs the tests
  }
  void TearDown() override {
    for (const char* const variable : {"SERVER", "NAMESPACE", "CONFIG", "CONTEXT", "TLS", "TLS_CA", "TLS_CERT",
                                       "TLS_KEY", "TLS_SERVER_NAME", "TOKEN_FILE"}) {
      unsetenv((std::string("HOLDFAST_") + variable).c_str());
    }
  }

  // Makes the method reply with `response`. The request that came is in ShortDebugString form in request_, without its
  // request ids, which are in ids_.
  template <class Request, class Response>
  void Reply(const std::string& method, Response reply = Response()) {
    server_.On<Request, Response>(method, [this, reply](Request request, Response* response) {
      ids_.clear();
      if constexpr (HasRequestId<Request>) {
        ids_.push_back(request.request_id());
        request.clear_request_id();
      } else if constexpr (HasItemsWithRequestIds<Request>) {
        for (auto& item : *request.mutable_increments()) {
          ids_.push_back(item.request_id());
          item.clear_request_id();
        }
      }
      request_ = request.ShortDebugString();
      *response = reply;
      return grpc::Status::OK;
    });
  }
  template <class Request, class Response>
  void Fail(const std::string& method, const grpc::Status& status) {
    server_.On<Request, Response>(method, [status](const Request&, Response*) { return status; });
  }

  void ExpectUsage(std::vector<std::string> words, const std::string& message) {
    const Result result = Tool(std::move(words));
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "holdfast: " + message + "\nRun with --help for more information.\n");
  }

  std::string request_;
  std::vector<std::string> ids_;
  FakeServer server_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_TESTS_CLIENT_CLI_TOOL_TEST_H_
