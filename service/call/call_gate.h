// The one gate that every call of every kind passes, in two steps.
//
//   Admit        when the call arrives, before anybody parses its request: how many calls there may be, how many bytes
//                they may hold, none once the server drains, and who calls (service/access/access.h).
//   AdmitTarget  when the request is parsed and says what it is for: the object, the namespace, or the server. May this
//                caller have it with this method? Each item of a batch or a stream passes by itself, with its own
//                object.
//
// No call ends with OK unless it has passed both (Call::Finish checks that).
//
// A call is admitted with the bytes that its request has on the wire, before anybody parses it, and holds a lease until
// its last reply has left the server's memory. The lease reserves the reply before the writes that it answers are
// committed, so a reply that there is no memory for is refused while nothing has happened yet. Replies that nobody
// reads therefore fill the bound of their connection and no more.
//
// A call with one request is decided by the rules of the moment in which it arrived, with all its items. A stream goes
// by the rules of each moment: its items are decided by those that hold when they come, and Recheck ends it once its
// caller may not have it any more.
//
// Threading: any thread. Errors: RESOURCE_EXHAUSTED (SERVER_OVERLOADED) and UNAVAILABLE (DRAINING), both with
// RetryInfo; UNAUTHENTICATED (CREDENTIALS_MISSING, CREDENTIALS_INVALID); PERMISSION_DENIED; RESOURCE_EXHAUSTED
// (NAMESPACE_QUOTA); FAILED_PRECONDITION (CLASS_READ_ONLY). Nothing was done.

#ifndef HOLDFAST_SERVICE_CALL_CALL_GATE_H_
#define HOLDFAST_SERVICE_CALL_CALL_GATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "actors/executor/clock.h"
#include "actors/object.h"
#include "service/access/access.h"
#include "service/access/access_files.h"
#include "service/access/audit_log.h"
#include "service/call/connections.h"
#include "service/call/method.h"
#include "storage/base/check.h"
#include "storage/base/observer.h"

namespace holdfast::service {

// The thing that a call, or an item of a call, is for.
struct Target {
  enum class Kind {
    kServer,     // no object: health, reflection
    kNamespace,  // the objects of a namespace: ListObjects, WatchAlarms
    kObject,     // one object
    kItems,      // the items of a batch or a stream, which have targets of their own
    kListed,     // the objects of a class in a list; nobody is told if the list leaves them out
  };

  static Target Server() { return {.kind = Kind::kServer}; }
  static Target Items() { return {.kind = Kind::kItems}; }
  // Never empty: the default stands for a namespace that is left out. It may still be invalid.
  static Target Namespace(absl::string_view ns) { return {.kind = Kind::kNamespace, .ns = ns}; }
  // The objects of one class in a namespace, for what a watch gives.
  static Target Namespace(absl::string_view ns, const actors::ObjectClass* object_class) {
    return {.kind = Kind::kNamespace, .ns = ns, .class_name = object_class->name};
  }
  static Target Listed(absl::string_view ns, absl::string_view class_name) {
    return {.kind = Kind::kListed, .ns = ns, .class_name = class_name};
  }
  static Target Object(absl::string_view ns, absl::string_view name, const actors::ObjectClass* object_class) {
    return {
        .kind = Kind::kObject, .ns = ns, .name = name, .class_name = object_class->name, .object_class = object_class};
  }

  Kind kind;
  absl::string_view ns = {};
  absl::string_view name = {};
  // Set for kObject and kListed, and for a kNamespace of one class. A class that the server does not have is "" in a
  // list: it takes a right to any class.
  absl::string_view class_name = {};
  const actors::ObjectClass* object_class = nullptr;  // set for kObject
  // The request changes nothing, and is held to that: it needs no more than READ.
  bool reads_only = false;
};

// Asks the gate whether a call may have a target.
using Admission = absl::FunctionRef<absl::Status(const Target& target)>;

// Reads the credentials of a call, of which nothing is looked at without access control.
using CredentialsOf = absl::FunctionRef<Credentials()>;
inline Credentials NoCredentials() { return {}; }

class CallGate {
 public:
  struct Limits {
    int64_t calls_max;
    int64_t streams_max;           // calls with a stream, which may have no end of their own
    int64_t bytes_max;             // requests and replies of all calls
    int64_t connection_bytes_max;  // requests and replies of the calls on one connection
  };

  // A Target that outlives the request.
  struct OwnedTarget {
    Target::Kind kind;
    std::string ns;
    std::string class_name;
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
    // Returns whether another node of the cluster has sent the call on. It is not sent on again.
    bool forwarded() const { return forwarded_; }
    // Returns the caller; null without access control and for an open method.
    const Caller* caller() const { return caller_.get(); }

   private:
    friend class CallGate;
    // Changes the number of bytes that are held, `*held`, to `bytes`.
    absl::Status Set(int64_t* held, int64_t bytes);
    CallGate* gate_ = nullptr;
    Connections::Connection* connection_ = nullptr;
    bool is_stream_ = false;
    bool is_open_ = false;
    bool turned_away_ = false;
    bool has_target_ = false;
    bool forwarded_ = false;
    int64_t request_bytes_ = 0;
    int64_t reply_bytes_ = 0;
    std::shared_ptr<const Access> access_;  // null: there is nothing to decide
    std::shared_ptr<const Caller> caller_;
    // The target of a stream as a whole, if it has one.
    std::unique_ptr<OwnedTarget> stream_target_;
  };

  // Bytes that are held for a client outside its calls: by the HTTP port, which reads requests before they are calls,
  // and sends replies when the calls have ended. They count like those of calls.
  class Hold {
   public:
    Hold(CallGate* gate, absl::string_view peer) : gate_(gate), connection_(gate->connections_->Begin(peer)) {}
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() {
      gate_->bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
      gate_->connections_->End(connection_, bytes_);
    }

    // Sets how many bytes are held. If there is no room, changes nothing and returns an error.
    absl::Status Set(int64_t bytes);
    // Does the same for bytes that are there already and can't be refused.
    void Count(int64_t bytes);

   private:
    CallGate* const gate_;
    Connections::Connection* const connection_;
    int64_t bytes_ = 0;
  };

  // The bytes that a call takes beside its messages, here and in gRPC; each call is counted with them.
  static constexpr int64_t kCallBytes = 16 << 10;
  // Streams of methods that need no credentials have this part of all.
  static constexpr int64_t kOpenStreamsPart = 5;

  // `connections` outlives the gate, and the gate outlives its leases. `observer` may be null.
  CallGate(const Limits& limits, Connections* connections, storage::Observer* observer = nullptr)
      : limits_(limits), connections_(connections), observer_(observer) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  enum class Shape { kSingle, kStream };

  // From now on requests that bring this secret come from other nodes of the cluster, where the caller and his rights
  // were checked, and his quotas counted. Call it before the first call.
  void SetCluster(std::string secret) { cluster_secret_ = std::move(secret); }

  // From now on namespaces get this part of their rates here, over 0 and at most 1: there are other nodes of the
  // cluster. Any thread, at any time.
  void SetQuotaShare(double share) {
    HOLDFAST_CHECK(share > 0 && share <= 1, absl::StrCat(share));
    quota_share_.store(share, std::memory_order_relaxed);
  }

  // From now on calls need credentials and have quotas, as the files say. Both outlive the gate. Call it before the
  // first call.
  void SetAccess(const AccessFiles* access, const actors::Clock* clock) {
    access_ = access;
    clock_ = clock;
  }

  // From now on the log has a line for what it wants. It outlives the gate. Call it before the first call.
  void SetAudit(AuditLog* audit) { audit_ = audit; }

  // Admits or refuses a call; every call passes it once, when it arrives. `peer` is its connection, and `bytes` are
  // those of its request on the wire. The call counts until the lease is released, also when it is refused: the error
  // is a reply too.
  absl::Status Admit(const Method& method, Shape shape, absl::string_view peer, size_t bytes, Lease* lease,
                     CredentialsOf credentials = NoCredentials);
  // Refuses a call of which only the head has come, by what it says of its caller; it goes through Admit all the same
  // when its request is there. For the HTTP port, which would otherwise read and parse the requests of strangers.
  absl::Status CheckCaller(const Method& method, absl::string_view peer, CredentialsOf credentials);
  // Admits or refuses what the call is for. `lease` is that of the call, also for its items.
  absl::Status AdmitTarget(const Method& method, const Target& target, Lease* lease,
                           CredentialsOf credentials = NoCredentials);
  // Returns an error if the caller of a stream may not have it any more: his credentials have expired, or the rules
  // have changed. Costs next to nothing while neither is so.
  absl::Status Recheck(const Method& method, Lease* lease, CredentialsOf credentials);

  Connections* connections() { return connections_; }
  void Drain() { draining_ = true; }
  bool draining() const { return draining_.load(std::memory_order_relaxed); }
  int64_t calls() const { return calls_; }
  // Returns the number of calls without those that were refused since Drain.
  int64_t working() const { return calls_ - turned_away_; }
  int64_t streams() const { return streams_; }
  int64_t bytes() const { return bytes_; }

  static absl::Status Draining();
  // SERVER_OVERLOADED, which may be tried again soon.
  static absl::Status Overloaded(absl::string_view why);

 private:
  // Does the same as Admit, without telling the observer.
  absl::Status TryAdmit(const Method& method, Shape shape, absl::string_view peer, size_t bytes, Lease* lease,
                        CredentialsOf credentials);
  // Finds out whether another node has sent the call on.
  absl::Status CheckForwarded(const Method& method, Lease* lease, CredentialsOf credentials) const;
  // Finds out who calls; null without access control.
  absl::StatusOr<std::shared_ptr<const Caller>> Identify(const Method& method, const Access& access,
                                                         absl::string_view peer, CredentialsOf credentials) const;
  // Finds out who calls, and puts him into the lease.
  absl::Status Identify(const Method& method, Lease* lease, CredentialsOf credentials) const;
  // Finds out again who calls if his credentials have expired or the rules have changed.
  absl::Status Refresh(const Method& method, Lease* lease, CredentialsOf credentials) const;
  absl::Status TryAdmitTarget(const Method& method, const Target& target, Lease* lease, CredentialsOf credentials);
  absl::Status CheckRights(const Method& method, const Target& target, const Lease& lease) const;
  // Writes what the audit log wants of an admitted target.
  void Audit(const Method& method, const Target& target, const Lease& lease) const;
  absl::Status TakeQuota(const Target& target, const Access& access) const;
  // Tells the observer of a refusal, and returns it.
  absl::Status Told(const Method& method, absl::Status status) const;
  absl::Status AddBytes(Connections::Connection* connection, int64_t bytes);
  void RemoveBytes(Connections::Connection* connection, int64_t bytes);

  const Limits limits_;
  Connections* const connections_;
  storage::Observer* const observer_;
  const AccessFiles* access_ = nullptr;  // null: there is no access control
  const actors::Clock* clock_ = nullptr;
  AuditLog* audit_ = nullptr;   // null: there is none
  std::string cluster_secret_;  // empty: the server is no node of a cluster
  std::atomic<int64_t> calls_ = 0;
  std::atomic<int64_t> turned_away_ = 0;
  std::atomic<int64_t> streams_ = 0;
  std::atomic<int64_t> open_streams_ = 0;  // of methods that need no credentials
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<bool> draining_ = false;
  std::atomic<double> quota_share_ = 1;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CALL_GATE_H_
