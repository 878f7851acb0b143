// leaderboardd: a Holdfast server that has leaderboards beside the built-in classes.
//
//   leaderboardd holdfast.textproto      the configuration is that of holdfastd

#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "leaderboard.h"
#include "leaderboard/v1/leaderboard.grpc.pb.h"
#include "service/config.h"
#include "service/rpcs/rpc_rows.h"
#include "service/server.h"

namespace {

using holdfast::service::Verb;
using leaderboard::Leaderboard;

holdfast::service::Extension Leaderboards() {
  const auto* const board = &Leaderboard::Class();
  holdfast::service::RpcRows<leaderboard::v1::LeaderboardService> rows;
  rows.Unary<&Leaderboard::SubmitScore>("SubmitScore", Verb::kWrite, board);
  rows.Unary<&Leaderboard::GetLeaders>("GetLeaders", Verb::kRead, board);
  holdfast::service::Extension extension;
  extension.object_classes = {board};
  extension.services.push_back(rows.Take());
  return extension;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "leaderboardd: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  auto config = holdfast::service::ReadConfigFile(argc == 2 ? argv[1] : "holdfast.textproto");
  if (!config.ok()) return Fail(config.status());
  if (absl::Status status = holdfast::service::CompleteConfig(&*config); !status.ok()) return Fail(status);
  // The server's threads leave the signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // After a failed commit the waiting calls get a second for their errors; then the process must end.
  auto server = holdfast::service::Server::Start(
      *config, [](const absl::Status&) { alarm(1); }, Leaderboards());
  if (!server.ok()) return Fail(server.status());
  std::printf("serving on %s\n", (*server)->address().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  (*server)->Drain();
  return 0;
}
