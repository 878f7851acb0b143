// A fixture with a real server, whose configuration the test chooses.

#ifndef HOLDFAST_TESTS_ANSWERS_ANSWERS_H_
#define HOLDFAST_TESTS_ANSWERS_ANSWERS_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {

class AnswersTest : public ::testing::Test {
 protected:
  void Start(const std::string& config = "", const ServerProgram& program = Holdfastd()) {
    server_ = nullptr;  // only one process at a time may use the data directory
    server_ = std::make_unique<ServerProcess>(data_dir(), config, "", program);
  }

  // Adds 1 to the counter of this name, over a connection of its own.
  Reply<v1::IncrementResponse> Increment(const std::string& name) {
    const auto stub = v1::CounterService::NewStub(server_->NewChannel());
    v1::IncrementRequest request;
    request.mutable_object()->set_name(name);
    return Invoke(*stub, &v1::CounterService::Stub::Increment, request);
  }

  std::string data_dir() const { return directory_.path() + "/data"; }

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_ANSWERS_ANSWERS_H_
