// A server from the same library as holdfastd, with scripted objects, a clock that a test moves, a disk that a test
// breaks, and either store. It has one executor, on whose thread all of that is used.

#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "holdfast/testing/v1/script.grpc.pb.h"
#include "service/config.h"
#include "service/open_store.h"
#include "service/rpcs/rpc_rows.h"
#include "service/server.h"
#include "storage/base/log.h"
#include "storage/store/memory_store.h"
#include "tests/blackbox/fault_store.h"
#include "tests/blackbox/scripted.h"

namespace holdfast::testing {
namespace {

using config::v1::Config;

service::RpcTable::Service ScriptService() {
  using service::Verb;
  const actors::ObjectClass* const board = &ScriptBoard::Class();
  service::RpcRows<v1::ScriptService> rows;
  rows.Unary<&Scripted::Run>("Run", Verb::kWrite, &Scripted::Class());
  rows.Unary<&ScriptBoard::SetScripts>("SetScripts", Verb::kWrite, board);
  rows.Unary<&ScriptBoard::ReadNotes>("ReadNotes", Verb::kRead, board);
  rows.Unary<&ScriptBoard::Signal>("Signal", Verb::kWrite, board);
  rows.Unary<&ScriptBoard::AdvanceClock>("AdvanceClock", Verb::kAdmin, board);
  rows.Unary<&ScriptBoard::FailCommits>("FailCommits", Verb::kAdmin, board);
  return rows.Take();
}

int Serve(const Config& config, bool in_memory) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  service::Extension extension;
  extension.object_classes = {&Scripted::Class(), &ScriptBoard::Class()};
  extension.services.push_back(ScriptService());
  extension.open_store = [in_memory](const Config& settings) -> absl::StatusOr<std::unique_ptr<storage::Store>> {
    std::unique_ptr<storage::Store> store = std::make_unique<storage::MemoryStore>();
    if (!in_memory) {
      auto opened = service::OpenStore(settings);
      if (!opened.ok()) return opened.status();
      store = std::move(opened->store);
    }
    return std::make_unique<FaultStore>(std::move(store), &TheWorld().fault);
  };
  extension.clock = &TheWorld().clock;
  // The server ends as holdfastd does: waiting callers get their answers, then nothing more is written.
  auto server = service::Server::Start(
      config, [](const absl::Status&) { alarm(1); }, std::move(extension));
  if (!server.ok()) {
    std::fprintf(stderr, "test_server: %s\n", server.status().ToString().c_str());
    return 1;
  }
  Log(LogLevel::kInfo, "serving", {{"listen", (*server)->address()}});
  int signal = 0;
  sigwait(&signals, &signal);
  (*server)->Drain();
  server->reset();
  return 0;
}

}  // namespace
}  // namespace holdfast::testing

int main(int argc, char** argv) {
  using holdfast::config::v1::Config;
  std::string config_path;
  std::string listen;
  std::string data_dir;
  bool in_memory = false;
  double advance_s = 0;
  CLI::App app("The server of the black-box tests.", "test_server");
  app.add_option("--config", config_path);
  app.add_option("--listen", listen);
  app.add_option("--data-dir", data_dir);
  app.add_flag("--in-memory", in_memory, "Keeps the store in memory");
  app.add_option("--advance-s", advance_s, "How far ahead the clock is, in seconds");
  CLI11_PARSE(app, argc, argv);

  auto config = holdfast::service::ReadConfigFile(config_path);
  if (config.ok()) {
    config->set_listen(listen);
    config->set_data_dir(data_dir);
    config->mutable_actors()->set_executors(1);
    if (absl::Status status = holdfast::service::CompleteConfig(&*config); !status.ok()) config = status;
  }
  if (!config.ok()) {
    std::fprintf(stderr, "test_server: %s\n", config.status().ToString().c_str());
    return 1;
  }
  holdfast::testing::TheWorld().clock.Advance(absl::Seconds(advance_s));
  return holdfast::testing::Serve(*config, in_memory);
}
