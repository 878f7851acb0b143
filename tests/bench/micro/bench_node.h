// A node that the benchmark's own thread runs, so that the work is measured and not the waking of threads. The thread
// runs reads, SQL and commits where they come up.

#ifndef HOLDFAST_TESTS_BENCH_MICRO_BENCH_NODE_H_
#define HOLDFAST_TESTS_BENCH_MICRO_BENCH_NODE_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"
#include "tests/simulation/node.h"

namespace holdfast::bench {

inline void CheckOk(const absl::Status& status, absl::string_view what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), status.ToString().c_str());
  std::exit(1);
}

// A request to a handler of `Class`, which is used again and again.
template <typename Class, typename Request, typename Response>
class HandlerCall final : public actors::Delivery {
 public:
  using Handler = actors::Task<absl::Status> (Class::*)(const Request&, Response*);

  HandlerCall(std::string name, Handler handler, Request request)
      : key_("default", Class::Class().name, name), handler_(handler), request_(std::move(request)) {}

  const storage::ObjectKey& key() const { return key_; }
  bool done() const { return done_; }
  void Begin() { done_ = false; }

  actors::Task<absl::Status> Run(actors::Object& object) override {
    response_.Clear();
    return (static_cast<Class&>(object).*handler_)(request_, &response_);
  }
  void Done(const absl::Status& status) override {
    CheckOk(status, key_.DebugString());
    done_ = true;
  }

 private:
  const storage::ObjectKey key_;
  const Handler handler_;
  const Request request_;
  Response response_;
  bool done_ = true;
};

class BenchNode {
 public:
  // No object gets a family of its own.
  BenchNode(storage::Store* store, std::vector<const actors::ObjectClass*> classes,
            const actors::HostOptions& options = {})
      : node_(store, &clock_, std::move(classes), options) {
    CheckOk(node_.recovered(), "recovery");
  }

  // Delivers the request, so that its turn may begin; nothing is committed before a Step.
  template <typename Class, typename Request, typename Response>
  void Deliver(HandlerCall<Class, Request, Response>* call) {
    call->Begin();
    node_.host().Deliver(call->key(), &Class::Class(), call);
  }
  // Delivers the request and runs the node until the reply has come, its commit included.
  template <typename Class, typename Request, typename Response>
  void Ask(HandlerCall<Class, Request, Response>* call) {
    Deliver(call);
    while (!call->done()) Step();
  }
  // Runs everything that can run now, then one piece of work away from the executor. Returns false if there was no such
  // work.
  bool Step() {
    node_.executor().RunUntilIdle();
    node_.executor().EndRound();
    return node_.reads().RunOne() || node_.sql().RunOne() || node_.commits().RunOne();
  }
  void Settle() {
    while (Step()) {
    }
  }
  void Passivate(const storage::ObjectKey& key) {
    node_.host().PassivateSoon(key);
    Settle();
  }

  simulation::Node& node() { return node_; }

 private:
  simulation::VirtualClock clock_;
  simulation::Node node_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_MICRO_BENCH_NODE_H_
