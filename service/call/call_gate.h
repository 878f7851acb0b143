// The one gate that every call of every kind passes. It bounds how many calls there may be and how many bytes they may
// hold, and admits none once the server drains. Identity, policy and quotas belong here too.
//
// A call is admitted with the bytes that its request has on the wire, before anybody parses it, and holds a lease until
// its last reply has left the server's memory. The lease reserves the reply before the writes that it answers are
// committed, so a reply that there is no memory for is refused while nothing has happened yet. Replies that nobody
// reads therefore fill the bound of their connection and no more.
//
// Threading: any thread. Errors: RESOURCE_EXHAUSTED (SERVER_OVERLOADED) and UNAVAILABLE (DRAINING), both with
// RetryInfo; nothing was done.

#ifndef HOLDFAST_SERVICE_CALL_CALL_GATE_H_
#define HOLDFAST_SERVICE_CALL_CALL_GATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "service/call/connections.h"
#include "storage/base/observer.h"

namespace holdfast::service {

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

   private:
    friend class CallGate;
    // Changes the number of bytes that are held, `*held`, to `bytes`.
    absl::Status Set(int64_t* held, int64_t bytes);
    CallGate* gate_ = nullptr;
    Connections::Connection* connection_ = nullptr;
    bool is_stream_ = false;
    bool turned_away_ = false;
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

  // Admits or refuses a call; every call passes it once, when it begins. `method` is its full name, `peer` its
  // connection. The call counts until the lease is released, also when it is refused: the error is a reply too.
  absl::Status Admit(absl::string_view method, absl::string_view peer, size_t bytes, Lease* lease);
  // Does the same for a call with a stream.
  absl::Status AdmitStream(absl::string_view method, absl::string_view peer, size_t bytes, Lease* lease);

  void Drain() { draining_ = true; }
  bool draining() const { return draining_.load(std::memory_order_relaxed); }
  int64_t calls() const { return calls_; }
  // Returns the number of calls without those that were refused since Drain.
  int64_t working() const { return calls_ - turned_away_; }
  int64_t bytes() const { return bytes_; }

  static absl::Status Draining();

 private:
  // Does the same as Admit, without telling the observer.
  absl::Status TryAdmit(absl::string_view peer, size_t bytes, Lease* lease);
  absl::Status Told(absl::string_view method, absl::Status status) const;
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
