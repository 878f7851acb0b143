// The authorization matrix: every method of the table of RPCs, for every principal, namespace and class, over TLS
// against the real server. The expected verbs are written down here once more, so a new method fails until it has its
// line.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "proto/credentials.h"
#include "service/rpcs/builtin.h"
#include "tests/security/any_call.h"
#include "tests/security/secure_server.h"

namespace holdfast::testing {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;

enum Verb { kRead = 1, kWrite = 2, kAdmin = 4, kOpen = 0 };

const std::map<std::string, Verb>& ExpectedVerbs() {
  static const auto* const verbs = new std::map<std::string, Verb>{
      {"holdfast.v1.CounterService.Increment", kWrite},
      {"holdfast.v1.CounterService.GetValue", kRead},
      {"holdfast.v1.CounterService.GetUniqueNumber", kWrite},
      {"holdfast.v1.CounterService.ResetCounter", kWrite},
      {"holdfast.v1.CounterService.BatchIncrement", kWrite},
      {"holdfast.v1.CounterService.StreamIncrement", kWrite},
      {"holdfast.v1.RateLimiterService.CheckLimit", kWrite},
      {"holdfast.v1.RateLimiterService.CheckLimits", kWrite},
      {"holdfast.v1.RateLimiterService.ResetLimit", kWrite},
      {"holdfast.v1.BatchProcessorService.AddItems", kWrite},
      {"holdfast.v1.BatchProcessorService.ConfigureBatch", kWrite},
      {"holdfast.v1.BatchProcessorService.FlushBatch", kWrite},
      {"holdfast.v1.BatchProcessorService.ListProcessedItems", kRead},
      {"holdfast.v1.BatchProcessorService.TrimProcessedItems", kWrite},
      {"holdfast.v1.BatchProcessorService.GetBatchStatus", kRead},
      {"holdfast.v1.UserCacheService.GetUser", kRead},
      {"holdfast.v1.UserCacheService.UpdateUser", kWrite},
      {"holdfast.v1.UserCacheService.DeleteUser", kWrite},
      {"holdfast.v1.UserCacheService.BatchGetUsers", kRead},
      {"holdfast.v1.UserCacheService.ListUsers", kRead},
      {"holdfast.v1.ObjectService.GetEntries", kRead},
      {"holdfast.v1.ObjectService.PutEntries", kWrite},
      {"holdfast.v1.ObjectService.DeleteEntries", kWrite},
      {"holdfast.v1.ObjectService.ListEntries", kRead},
      {"holdfast.v1.ObjectService.ApplyBatch", kWrite},
      {"holdfast.v1.ObjectService.ExecuteSql", kWrite},
      {"holdfast.v1.ObjectService.MigrateSchema", kWrite},
      {"holdfast.v1.ObjectService.ExportSql", kRead},
      {"holdfast.v1.ObjectService.ImportSql", kWrite},
      {"holdfast.v1.ObjectService.ExportObject", kRead},
      {"holdfast.v1.ObjectService.ImportObject", kAdmin},
      {"holdfast.v1.ObjectService.SetAlarm", kWrite},
      {"holdfast.v1.ObjectService.GetAlarm", kRead},
      {"holdfast.v1.ObjectService.DeleteAlarm", kWrite},
      {"holdfast.v1.ObjectService.WatchAlarms", kWrite},
      {"holdfast.v1.ObjectService.AcknowledgeAlarm", kWrite},
      {"holdfast.v1.ObjectService.ExtendAlarmLease", kWrite},
      {"holdfast.v1.ObjectService.DeleteAll", kWrite},
      {"holdfast.v1.ObjectService.Cleanup", kWrite},
      {"holdfast.v1.ObjectService.ListObjects", kRead},
      {"holdfast.v1.ObjectService.DescribeObject", kRead},
      {"holdfast.v1.ObjectService.PassivateObject", kWrite},
      {"holdfast.v1.ObjectService.GetRights", kRead},
      {"holdfast.v1.AdminService.GetStatus", kAdmin},
      {"holdfast.v1.AdminService.ListHotObjects", kAdmin},
      {"holdfast.v1.AdminService.ListNamespaces", kAdmin},
      {"holdfast.v1.AdminService.ListAlarms", kAdmin},
      {"holdfast.v1.AdminService.ListNamespaceChanges", kAdmin},
      {"holdfast.v1.AdminService.GetHistory", kAdmin},
      {"holdfast.v1.AdminService.SetLogLevel", kAdmin},
      {"holdfast.v1.AdminService.CompactStore", kAdmin},
      {"holdfast.v1.AdminService.Scrub", kAdmin},
      {"holdfast.v1.AdminService.CreateBackup", kAdmin},
      {"holdfast.v1.AdminService.ListBackups", kAdmin},
      {"holdfast.v1.AdminService.RestoreObject", kAdmin},
      {"holdfast.v1.PlacementService.WatchPlacement", kRead},
      {"envoy.service.ratelimit.v3.RateLimitService.ShouldRateLimit", kWrite},
      {"grpc.health.v1.Health.Check", kOpen},
      {"grpc.health.v1.Health.Watch", kOpen},
      {"grpc.reflection.v1.ServerReflection.ServerReflectionInfo", kRead},
      {"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo", kRead},
  };
  return *verbs;
}

// The class of the objects of a service; "" where the request names it.
std::string ClassOf(const MethodDescriptor& method) {
  static const std::map<std::string, std::string> classes = {{"CounterService", "Counter"},
                                                             {"RateLimiterService", "RateLimiter"},
                                                             {"RateLimitService", "RateLimiter"},
                                                             {"BatchProcessorService", "BatchProcessor"},
                                                             {"UserCacheService", "UserCache"}};
  const auto found = classes.find(method.service()->name());
  return found == classes.end() ? "" : found->second;
}

struct Principal {
  std::string name;
  int verbs;                 // of its one rule
  std::string ns;            // "": any
  std::string object_class;  // "": any
  std::string token;

  bool Has(Verb verb) const { return (verbs & verb) != 0; }
  std::string Rule() const {
    if (verbs == 0) return "";
    std::string rule = absl::StrCat("  rule { principal: '", name, "'");
    if (!ns.empty()) absl::StrAppend(&rule, " namespace: '", ns, "'");
    if (!object_class.empty()) absl::StrAppend(&rule, " object_class: '", object_class, "'");
    if (Has(kRead)) rule += " verb: READ";
    if (Has(kWrite)) rule += " verb: WRITE";
    if (Has(kAdmin)) rule += " verb: ADMIN";
    return rule + " }\n";
  }
};

// Returns whether the one rule of the principal allows this; written without the code that it tests.
bool Allows(const Principal& principal, Verb verb, TargetKind kind, const std::string& ns,
            const std::string& object_class) {
  if (verb == kOpen) return true;
  if (!principal.Has(verb)) return false;
  const bool any_namespace = principal.ns.empty();
  const bool any_class = principal.object_class.empty();
  if (kind == TargetKind::kServer) return verb == kRead || (any_namespace && any_class);
  if (!any_namespace && principal.ns != ns) return false;
  if (kind == TargetKind::kNamespace && object_class.empty()) return true;
  return any_class || principal.object_class == object_class;
}

struct Cell {
  const MethodDescriptor* method;
  const Principal* principal;
  std::string ns;
  std::string object_class;
  bool read_only;
};

class MatrixTest : public ::testing::Test {
 protected:
  MatrixTest() {
    for (int verbs = 0; verbs < 8; ++verbs) {
      for (const auto& [ns, object_class] : std::vector<std::pair<std::string, std::string>>{
               {"", ""}, {"shop", ""}, {"shop", "Counter"}, {"", "Object"}}) {
        Principal principal{absl::StrCat("p", principals_.size()), verbs, ns, object_class, *NewToken()};
        principals_.push_back(principal);
      }
    }
    std::string rules = "authorization {\n";
    std::string tokens;
    for (const Principal& principal : principals_) {
      rules += principal.Rule();
      tokens += TokenLine(principal.name, principal.token);
    }
    const std::string limits = directory_.path() + "/limits.yaml";
    std::ofstream(limits)
        << "domain: matrix\ndescriptors: [{key: user, rate_limit: {unit: day, requests_per_unit: 9}}]";
    absl::StrAppend(&rules, "}\nrate_limit_service { namespace: 'shop' rules_file: '", limits, "' }\n");
    server_ = std::make_unique<SecureServer>(SecureServer::Options{.rules = rules, .tokens = tokens});
    // These two have no rights at all.
    principals_.push_back({"anonymous", 0, "", "", ""});
    principals_.push_back({"unknown", 0, "", "", *NewToken()});
    for (size_t i = 0; i < kConnections; ++i) channels_.push_back(server_->Channel());
  }

  void Check(const Cell& cell, size_t connection) {
    AnyRequest request = MakeRequest(*cell.method, cell.ns, cell.object_class);
    if (cell.method->name() == "ShouldRateLimit") FillRateLimit(&request);
    Verb verb = ExpectedVerbs().at(cell.method->full_name());
    if (cell.read_only) {
      static_cast<v1::ExecuteSqlRequest&>(*request.message).set_read_only(true);
      verb = kRead;
    }
    std::string object_class = ClassOf(*cell.method);
    if (object_class.empty()) object_class = cell.object_class;
    // A watch gives the alarms of one class.
    if (request.kind == TargetKind::kNamespace) {
      object_class = cell.method->name() == "WatchAlarms" ? "Object" : "";
    }
    const bool allowed = Allows(*cell.principal, verb, request.kind, cell.ns, object_class);
    const bool open_end = cell.method->name() == "WatchAlarms";
    const AnyOutcome outcome = CallAny(channels_[connection], *cell.method, *request.message, cell.principal->token,
                                       std::chrono::milliseconds(open_end ? 1500 : 20'000));
    (allowed ? allowed_ : refused_)++;
    if (outcome.denied() != allowed) return;
    wrong_++;
    ADD_FAILURE() << cell.method->full_name() << (cell.read_only ? " (read_only)" : "") << " by "
                  << cell.principal->Rule() << " in " << cell.ns << " of class " << object_class << " should be "
                  << (allowed ? "allowed" : "refused") << ": " << outcome.status.error_code() << " "
                  << outcome.status.error_message() << ", item " << outcome.item_code;
  }

  // Makes a request that meets a limit, whose object is in the namespace "shop".
  static void FillRateLimit(AnyRequest* request) {
    auto& limits = static_cast<envoy::service::ratelimit::v3::RateLimitRequest&>(*request->message);
    limits.set_domain("matrix");
    auto* const entry = limits.add_descriptors()->add_entries();
    entry->set_key("user");
    entry->set_value("7");
    request->kind = TargetKind::kObject;
  }

  static constexpr size_t kConnections = 16;
  const TemporaryDirectory directory_;
  std::vector<Principal> principals_;
  std::unique_ptr<SecureServer> server_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::atomic<int> allowed_ = 0;
  std::atomic<int> refused_ = 0;
  std::atomic<int> wrong_ = 0;
};

TEST_F(MatrixTest, EveryMethodForEveryPrincipalNamespaceAndClass) {
  std::vector<Cell> cells;
  size_t methods = 0;
  const service::Extension built_in = service::BuiltIn();
  for (const service::RpcTable::Service& one : built_in.services) {
    for (const service::RpcTable::Row& row : one.rows) {
      const MethodDescriptor* const method = DescriptorPool::generated_pool()->FindMethodByName(row.method);
      ASSERT_NE(method, nullptr) << row.method;
      ASSERT_EQ(ExpectedVerbs().count(row.method), 1u) << row.method << " has no line in the matrix";
      ++methods;
      const TargetKind kind = MakeRequest(*method, "", "").kind;
      for (const Principal& principal : principals_) {
        for (const char* ns : {"shop", "other"}) {
          for (const char* object_class : {"Counter", "Object"}) {
            cells.push_back({method, &principal, ns, object_class, false});
            if (method->name() == "ExecuteSql") cells.push_back({method, &principal, ns, object_class, true});
            if (kind != TargetKind::kClass) break;
          }
          if (kind == TargetKind::kServer) break;
        }
      }
    }
  }
  ASSERT_EQ(methods, ExpectedVerbs().size());
  // Those that wait for their deadline are spread out.
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kConnections; ++i) {
    threads.emplace_back([&, i] {
      for (size_t cell = next++; cell < cells.size(); cell = next++) Check(cells[cell], i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("authorization matrix: %zu methods, %zu principals: %zu cells, %d allowed, %d refused, %d wrong\n",
              methods, principals_.size(), cells.size(), allowed_.load(), refused_.load(), wrong_.load());
  EXPECT_GT(allowed_, 1000);
  EXPECT_GT(refused_, 1000);
}

// GetRights promises what the other methods then allow.
TEST_F(MatrixTest, GetRightsTellsTheRightsOfEveryPrincipal) {
  const MethodDescriptor* const method =
      DescriptorPool::generated_pool()->FindMethodByName("holdfast.v1.ObjectService.GetRights");
  ASSERT_NE(method, nullptr);
  const auto stub = v1::ObjectService::NewStub(channels_[0]);
  int told = 0;
  for (const Principal& principal : principals_) {
    for (const char* ns : {"shop", "other"}) {
      for (const char* object_class : {"Counter", "Object"}) {
        grpc::ClientContext context;
        if (!principal.token.empty()) SetToken(principal.token, &context);
        v1::GetRightsRequest request;
        request.set_namespace_(ns);
        request.set_object_class(object_class);
        v1::GetRightsResponse response;
        const grpc::Status status = stub->GetRights(&context, request, &response);
        ASSERT_EQ(status.ok(), principal.Has(kRead)) << principal.Rule() << status.error_message();
        if (!status.ok()) continue;
        ++told;
        const auto allows = [&](Verb verb) { return Allows(principal, verb, TargetKind::kClass, ns, object_class); };
        EXPECT_EQ(response.read(), allows(kRead)) << principal.Rule() << ns << object_class;
        EXPECT_EQ(response.write(), allows(kWrite)) << principal.Rule() << ns << object_class;
        EXPECT_EQ(response.admin(), allows(kAdmin)) << principal.Rule() << ns << object_class;
        EXPECT_EQ(response.admin_of_server(), Allows(principal, kAdmin, TargetKind::kServer, "", ""))
            << principal.Rule();
      }
    }
  }
  EXPECT_EQ(told, 64);  // the 16 principals that may read, in each of four places
}

}  // namespace
}  // namespace holdfast::testing
