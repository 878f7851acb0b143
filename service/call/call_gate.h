// The one gate that every call of every kind passes, in two steps.
//
//   Admit        when the call arrives, before anybody parses its request: how many calls there may be, how many bytes
//                they may hold, and none once the server drains. Identity belongs here.
//   AdmitTarget  when the request is parsed and says what it is for: the object, the namespace, or the server. May this
//                method have it? Policy and quotas of namespaces belong here. Each item of a batch or a stream passes
//                by itself, with its own object.
//
// No call ends with OK unless it has passed both (Call::Finish checks that).
//
// A call is admitted with the bytes that its request has on the wire, before anybody parses it, and holds a lease until
// its last reply has left the server's memory. The lease reserves the reply before the writes that it answers are
// committed, so a reply that there is no memory for is refused while nothing has happened yet. Replies that nobody
// reads therefore fill the bound of their connection and no more.
//
// Threading: any thread. Errors: RESOURCE_EXHAUSTED (SERVER_OVERLOADED) and UNAVAILABLE (DRAINING), both with
// RetryInfo; FAILED_PRECONDITION (CLASS_READ_ONLY). Nothing was done.

#ifndef HOLDFAST_SERVICE_CALL_CALL_GATE_H_
#define HOLDFAST_SERVICE_CALL_CALL_GATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "actors/object.h"
#include "service/call/connections.h"
#include "service/call/method.h"
#include "storage/base/observer.h"

namespace holdfast::service {

// The thing that a call, or an item of a call, is for.
struct Target {
  enum class Kind {
    kServer,     // no object: health, reflection
    kNamespace,  // the objects of a namespace: ListObjects, WatchAlarms
    kObject,     // one object
    kItems,      // the items of a batch or a stream, which have targets of their own
  };

  static Target Server() { return {.kind = Kind::kServer}; }
  static Target Items() { return {.kind = Kind::kItems}; }
  // Never empty: the default stands for a namespace that is left out. It may still be invalid.
  static Target Namespace(absl::string_view ns) { return {.kind = Kind::kNamespace, .ns = ns}; }
  static Target Object(absl::string_view ns, absl::string_view name, const actors::ObjectClass* object_class) {
    return {.kind = Kind::kObject, .ns = ns, .name = name, .object_class = object_class};
  }

  Kind kind;
  absl::string_view ns = {};
  absl::string_view name = {};
  const actors::ObjectClass* object_class = nullptr;  // set for kObject
};

// Asks the gate whether a call may have a target.
using Admission = absl::FunctionRef<absl::Status(const Target& target)>;

class CallGate {
 public:
  struct Limits {
    int64_t calls_max;
    int64_t streams_max;           // calls with a stream, which may have no end of their own
    int64_t bytes_max;             // requests and replies of all calls
    int64_t connection_bytes_max;  // requests and replies of the calls on one connection
  };

  // The part of the bounds that a call holds, from its admission to its end. An empty lease holds nothing.
  class Lease {
   public:
    Lease() = default;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { Release(); }

    // Sets how many bytes the request takes now that it is parsed. If there is no room, changes nothing and returns an
    // error.
    absl::Status CountRequest(size_t bytes);
    // Sets how many bytes the reply holds, or will hold; the number replaces the one before. If there is no room,
    // changes nothing and returns an error.
    absl::Status ReserveReply(size_t bytes);
    // Does the same for a reply that can't be refused any more, since the request has been carried out.
    void CountReply(size_t bytes);
    // Stops counting the request, which has left memory.
    void DropRequest();
    void Release();
    // Returns the connection of the call; null for an empty lease.
    Connections::Connection* connection() const { return connection_; }
    // Returns whether the call has passed AdmitTarget.
    bool has_target() const { return has_target_; }

   private:
    friend class CallGate;
    // Changes the number of bytes that are held, `*held`, to `bytes`.
    absl::Status Set(int64_t* held, int64_t bytes);
    CallGate* gate_ = nullptr;
    Connections::Connection* connection_ = nullptr;
    bool is_stream_ = false;
    bool turned_away_ = false;
    bool has_target_ = false;
    int64_t request_bytes_ = 0;
    int64_t reply_bytes_ = 0;
  };

  // The bytes that a call takes beside its messages, here and in gRPC; each call is counted with them.
  static constexpr int64_t kCallBytes = 16 << 10;

  // `connections` outlives the gate, and the gate outlives its leases. `observer` may be null.
  CallGate(const Limits& limits, Connections* connections, storage::Observer* observer = nullptr)
      : limits_(limits), connections_(connections), observer_(observer) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  enum class Shape { kSingle, kStream };

  // Admits or refuses a call; every call passes it once, when it arrives. `peer` is its connection, and `bytes` are
  // those of its request on the wire. The call counts until the lease is released, also when it is refused: the error
  // is a reply too.
  absl::Status Admit(const Method& method, Shape shape, absl::string_view peer, size_t bytes, Lease* lease);
  // Admits or refuses what the call is for. `lease` is that of the call, also for its items.
  absl::Status AdmitTarget(const Method& method, const Target& target, Lease* lease);

  Connections* connections() { return connections_; }
  void Drain() { draining_ = true; }
  bool draining() const { return draining_.load(std::memory_order_relaxed); }
  int64_t calls() const { return calls_; }
  // Returns the number of calls without those that were refused since Drain.
  int64_t working() const { return calls_ - turned_away_; }
  int64_t streams() const { return streams_; }
  int64_t bytes() const { return bytes_; }

  static absl::Status Draining();

 private:
  // Does the same as Admit, without telling the observer.
  absl::Status TryAdmit(Shape shape, absl::string_view peer, size_t bytes, Lease* lease);
  // Tells the observer of a refusal, and returns it.
  absl::Status Told(const Method& method, absl::Status status) const;
  absl::Status AddBytes(Connections::Connection* connection, int64_t bytes);
  void RemoveBytes(Connections::Connection* connection, int64_t bytes);

  const Limits limits_;
  Connections* const connections_;
  storage::Observer* const observer_;
  std::atomic<int64_t> calls_ = 0;
  std::atomic<int64_t> turned_away_ = 0;
  std::atomic<int64_t> streams_ = 0;
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<bool> draining_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CALL_GATE_H_
