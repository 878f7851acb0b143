// The rounds in which a node learns what the others have of the namespaces with quotas.

#include "service/cluster/namespace_rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using storage::NamespaceUsage;
using storage::ObjectKey;
using storage::ShardId;
using Reached = NamespaceUsage::Reached;
using Usage = NamespaceUsage::Usage;
using Request = v1::ListNamespaceChangesRequest;
using Response = v1::ListNamespaceChangesResponse;
using ::testing::ElementsAre;

std::shared_ptr<Peer> NodeWithoutConnection(const std::string& name) {
  return std::make_shared<Peer>(name, "secret", std::shared_ptr<grpc::Channel>());
}

Response Answer(uint64_t run, uint64_t version, int shard, int64_t epoch, int64_t objects) {
  Response response;
  response.set_run(run);
  response.set_version(version);
  v1::ShardNamespaces* const told = response.add_shards();
  told->set_shard(shard);
  told->set_epoch(epoch);
  told->set_whole(true);
  v1::NamespaceSummary* const summary = told->add_namespaces();
  summary->set_namespace_("a");
  summary->set_objects(objects);
  summary->set_size_bytes(10 * objects);
  return response;
}

class NamespaceRoundsTest : public ::testing::Test {
 protected:
  NamespaceRoundsTest() { usage_.Gain(ShardId(0), 1, {}); }

  // Returns how many objects this node lets be made in a round, without making them.
  int64_t Part() {
    int64_t part = 0;
    for (; !usage_.Check("a", true, 0).until_next_round && part < 1000; ++part) usage_.Add(object_, 1, 0);
    usage_.Add(object_, -part, 0);
    return part;
  }

  NamespaceUsage usage_{{{"a", {.objects_max = 90}}}, 1};
  ObjectKey object_ = [] {
    for (int i = 0;; ++i) {
      ObjectKey key("a", "Counter", absl::StrCat(i));
      if (key.shard() == ShardId(0)) return key;
    }
  }();
  std::vector<std::shared_ptr<Peer>> owners_ = {NodeWithoutConnection("b"), NodeWithoutConnection("c")};
  std::map<std::string, absl::StatusOr<Response>> answers_ = {{"b", Response()}, {"c", Response()}};
  std::vector<std::string> asked_;
  NamespaceRounds rounds_{&usage_, [this] { return owners_; },
                          [this](const std::shared_ptr<Peer>& peer, const Request& request) {
                            asked_.push_back(absl::StrCat(peer->node(), ":", request.run(), ":",
                                                          request.since_version(), ":", request.first_shard()));
                            return answers_.at(peer->node());
                          }};
};

TEST_F(NamespaceRoundsTest, LearnsWhatIsNewOfEach) {
  answers_["b"] = Answer(7, 100, 3, 1, 10);
  answers_["c"] = Answer(8, 5, 4, 1, 20);
  rounds_.Round();
  EXPECT_EQ(usage_.Of("a"), (Usage{30, 300}));
  EXPECT_EQ(Part(), 20);
  rounds_.Round();
  EXPECT_THAT(asked_, ElementsAre("b:0:0:0", "c:0:0:0", "b:7:100:0", "c:8:5:0"));
}

TEST_F(NamespaceRoundsTest, ANodeThatDoesNotAnswerCountsWithWhatItHasToldUntilItHasNoShards) {
  answers_["b"] = Answer(7, 100, 3, 1, 10);
  answers_["c"] = Answer(8, 5, 4, 1, 20);
  rounds_.Round();
  usage_.Add(object_, 20, 0);  // the part of this node
  EXPECT_EQ(Part(), 0);
  answers_["b"] = Answer(7, 101, 3, 1, 11);
  answers_["c"] = absl::UnavailableError("");
  rounds_.Round();
  rounds_.Round();
  EXPECT_EQ(usage_.Of("a").objects, 51);
  EXPECT_EQ(Part(), 0);
  // It is asked again for the rest.
  EXPECT_EQ(asked_.back(), "c:8:5:0");
  // Its shard is another node's.
  owners_.pop_back();
  answers_["b"] = Answer(7, 102, 4, 2, 25);
  rounds_.Round();
  EXPECT_EQ(usage_.Of("a").objects, 56);
  EXPECT_EQ(Part(), 17);  // half of 34
}

TEST_F(NamespaceRoundsTest, AnAnswerInParts) {
  owners_.pop_back();
  int part = 0;
  NamespaceRounds rounds(
      &usage_, [this] { return owners_; },
      [&](const std::shared_ptr<Peer>&, const Request& request) {
        asked_.push_back(absl::StrCat(request.since_version(), ":", request.first_shard()));
        // The second part is told with a version that the first one lacks.
        Response response = Answer(7, static_cast<uint64_t>(100 + part), 3 + part, 1, 5);
        if (part == 0) response.set_next_shard(4);
        ++part;
        return response;
      });
  rounds.Round();
  EXPECT_EQ(usage_.Of("a").objects, 10);
  rounds.Round();
  EXPECT_THAT(asked_, ElementsAre("0:0", "0:4", "100:0"));
}

TEST_F(NamespaceRoundsTest, AnAnswerThatIsNoneEndsNoRound) {
  answers_["b"] = Answer(7, 100, 256, 1, 10);
  rounds_.Round();
  answers_["b"] = Answer(7, 100, -1, 1, 10);
  rounds_.Round();
  answers_["b"] = Answer(7, 100, 3, 1, 10);
  answers_["b"]->set_next_shard(3);  // for ever
  rounds_.Round();
  EXPECT_EQ(Part(), 1);  // that of one of 256 nodes
}

TEST_F(NamespaceRoundsTest, TheThreadBeginsAtOnceAndEnds) {
  absl::Notification asked;
  NamespaceRounds rounds(
      &usage_, [this] { return owners_; },
      [&](const std::shared_ptr<Peer>&, const Request&) -> absl::StatusOr<Response> {
        if (!asked.HasBeenNotified()) asked.Notify();
        return Response();
      });
  rounds.Start();
  asked.WaitForNotification();
  rounds.Stop();
}

class TellingTest : public TwoNodesTest {};

// A server is asked as by another node: with the secret, and without any credentials of a client. That is no line in
// the audit log, since it comes each second; a call of somebody else is one.
TEST_F(TellingTest, AServerAnswersAndAuditsOthers) {
  configure_ = [](config::v1::Config* config) {
    config->mutable_audit()->set_file(absl::StrCat(config->data_dir(), ".audit.log"));
  };
  Start();
  const absl::StatusOr<Response> answer = NamespaceRounds::AskPeer(maps_[0].peer, {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->shards_size(), 0);  // it has no quotas
  const std::string log = absl::StrCat(dir_.path(), "/1.audit.log");
  EXPECT_EQ(std::filesystem::file_size(log), 0u);
  grpc::ClientContext context;
  Response response;
  EXPECT_TRUE(v1::AdminService::NewStub(channels_[1])->ListNamespaceChanges(&context, {}, &response).ok());
  EXPECT_GT(std::filesystem::file_size(log), 0u);
}

TEST_F(TellingTest, AWrongSecretAndANodeThatIsGone) {
  Start("another secret");
  EXPECT_EQ(NamespaceRounds::AskPeer(maps_[0].peer, {}).status().code(), absl::StatusCode::kUnauthenticated);
  maps_[0].peer->Gone();
  EXPECT_EQ(NamespaceRounds::AskPeer(maps_[0].peer, {}).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::service
