#include "service/call/call_gate.h"

#include <openssl/crypto.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"

namespace holdfast::service {

absl::Status CallGate::Overloaded(absl::string_view why) {
  return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED, why,
                           absl::Milliseconds(100));
}

absl::Status CallGate::Draining() {
  return actors::Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_DRAINING, "the server is shutting down",
                           absl::Seconds(1));
}

absl::Status CallGate::Told(const Method& method, absl::Status status) const {
  if (!status.ok() && observer_ != nullptr) observer_->CallRefused(method.name, status);
  return status;
}

absl::Status CallGate::Admit(const Method& method, Shape shape, absl::string_view peer, size_t bytes, Lease* lease,
                             CredentialsOf credentials) {
  return Told(method, TryAdmit(method, shape, peer, bytes, lease, credentials));
}

absl::Status CallGate::TryAdmit(const Method& method, Shape shape, absl::string_view peer, size_t bytes, Lease* lease,
                                CredentialsOf credentials) {
  lease->gate_ = this;
  lease->is_stream_ = shape == Shape::kStream;
  lease->is_open_ = method.open;
  lease->connection_ = connections_->Begin(peer, /*keeps=*/!method.open);
  const int64_t calls = calls_.fetch_add(1, std::memory_order_relaxed) + 1;
  const int64_t streams = lease->is_stream_ ? streams_.fetch_add(1, std::memory_order_relaxed) + 1 : 0;
  const int64_t open =
      lease->is_stream_ && lease->is_open_ ? open_streams_.fetch_add(1, std::memory_order_relaxed) + 1 : 0;
  if (draining()) {
    lease->turned_away_ = true;
    turned_away_.fetch_add(1, std::memory_order_relaxed);
    return Draining();
  }
  if (calls > limits_.calls_max) {
    return Overloaded(absl::StrCat("more than ", limits_.calls_max, " calls are in progress (server.calls_max)"));
  }
  if (streams > limits_.streams_max) {
    return Overloaded(absl::StrCat("more than ", limits_.streams_max, " streams are open (server.streams_max)"));
  }
  if (open > std::max<int64_t>(1, limits_.streams_max / kOpenStreamsPart)) {
    return Overloaded(absl::StrCat("more than a ", kOpenStreamsPart,
                                   "th of the streams would be of callers without credentials (server.streams_max)"));
  }
  const int64_t held = kCallBytes + static_cast<int64_t>(bytes);
  if (absl::Status status = AddBytes(lease->connection_, held); !status.ok()) return status;
  lease->request_bytes_ = held;
  if (method.open) return absl::OkStatus();
  if (!cluster_secret_.empty()) {
    if (absl::Status status = CheckForwarded(method, lease, credentials); !status.ok()) return status;
    if (lease->forwarded_) return absl::OkStatus();
  }
  if (access_ == nullptr) return absl::OkStatus();
  lease->access_ = access_->current();
  return Identify(method, lease, credentials);
}

absl::Status CallGate::CheckForwarded(const Method& method, Lease* lease, CredentialsOf credentials) const {
  const std::vector<absl::string_view> secrets = credentials().forwarded;
  if (secrets.empty()) return absl::OkStatus();
  const absl::string_view secret = secrets.front();
  if (secrets.size() == 1 && secret.size() == cluster_secret_.size() &&
      CRYPTO_memcmp(secret.data(), cluster_secret_.data(), secret.size()) == 0) {
    lease->forwarded_ = true;
    return absl::OkStatus();
  }
  if (audit_ != nullptr) {
    audit_->WriteRefusal({.event = "refused",
                          .peer = lease->connection_->peer(),
                          .method = method.name,
                          .reason = "not the secret of this cluster"});
  }
  return actors::Error(absl::StatusCode::kUnauthenticated, v1::ERROR_REASON_CREDENTIALS_INVALID,
                       "the credentials are not valid");
}

absl::StatusOr<std::shared_ptr<const Caller>> CallGate::Identify(const Method& method, const Access& access,
                                                                 absl::string_view peer,
                                                                 CredentialsOf credentials) const {
  if (!access.authenticates()) return nullptr;
  std::string why;
  Credentials given = credentials();
  given.peer = peer;
  auto caller = access.Identify(given, clock_->Wall(), &why);
  if (!caller.ok() && audit_ != nullptr) {
    audit_->WriteRefusal({.event = "refused", .peer = peer, .method = method.name, .reason = why});
  }
  return caller;
}

absl::Status CallGate::Identify(const Method& method, Lease* lease, CredentialsOf credentials) const {
  auto caller = Identify(method, *lease->access_, lease->connection_->peer(), credentials);
  if (!caller.ok()) return caller.status();
  lease->caller_ = *std::move(caller);
  return absl::OkStatus();
}

absl::Status CallGate::CheckCaller(const Method& method, absl::string_view peer, CredentialsOf credentials) {
  if (draining()) return Told(method, Draining());
  if (method.open || access_ == nullptr) return absl::OkStatus();
  return Told(method, Identify(method, *access_->current(), peer, credentials).status());
}

absl::Status CallGate::Refresh(const Method& method, Lease* lease, CredentialsOf credentials) const {
  const bool changed = lease->access_->generation() != access_->generation();
  if (changed) lease->access_ = access_->current();
  if (!changed && (lease->caller_ == nullptr || clock_->Wall() < lease->caller_->identity.expires)) {
    return absl::OkStatus();
  }
  return Identify(method, lease, credentials);
}

absl::Status CallGate::CheckRights(const Method& method, const Target& target, const Lease& lease) const {
  const Caller& caller = *lease.caller_;
  const Verb verb = target.reads_only ? Verb::kRead : method.verb;
  const Rights& rights = caller.rights;
  switch (target.kind) {
    case Target::Kind::kServer:
      if (verb == Verb::kRead ? rights.OnAnything(verb) : rights.OnEverything(verb)) return absl::OkStatus();
      break;
    case Target::Kind::kNamespace:
      if (target.class_name.empty() ? rights.InNamespace(verb, target.ns)
                                    : rights.OnObject(verb, target.ns, target.class_name)) {
        return absl::OkStatus();
      }
      break;
    case Target::Kind::kObject:
    case Target::Kind::kListed:
      if (rights.OnObject(verb, target.ns, target.class_name)) return absl::OkStatus();
      break;
    case Target::Kind::kItems:
      return absl::OkStatus();
  }
  if (audit_ != nullptr && target.kind != Target::Kind::kListed) {
    audit_->WriteRefusal({.event = "refused",
                          .principal = caller.identity.principal.name(),
                          .peer = lease.connection_->peer(),
                          .method = method.name,
                          .ns = target.ns,
                          .object_class = target.class_name,
                          .reason = "PERMISSION_DENIED"});
  }
  return actors::PermissionDenied(caller.identity.principal.name(), VerbName(verb), target.ns, target.class_name);
}

absl::Status CallGate::Recheck(const Method& method, Lease* lease, CredentialsOf credentials) {
  if (lease->access_ == nullptr) return absl::OkStatus();
  const std::shared_ptr<const Caller> before = lease->caller_;
  absl::Status status = Refresh(method, lease, credentials);
  if (status.ok() && lease->caller_ != before && lease->stream_target_ != nullptr) {
    const OwnedTarget& target = *lease->stream_target_;
    status = CheckRights(method, {.kind = target.kind, .ns = target.ns, .class_name = target.class_name}, *lease);
  }
  return Told(method, status);
}

absl::Status CallGate::TakeQuota(const Target& target, const Access& access) const {
  if (access.quotas() == nullptr || target.ns.empty()) return absl::OkStatus();
  const absl::Duration wait =
      access.quotas()->Take(target.ns, clock_->Steady(), quota_share_.load(std::memory_order_relaxed));
  return wait == absl::ZeroDuration() ? absl::OkStatus()
                                      : actors::NamespaceQuota(target.ns, "requests_per_second", wait);
}

absl::Status CallGate::AdmitTarget(const Method& method, const Target& target, Lease* lease,
                                   CredentialsOf credentials) {
  if (target.kind == Target::Kind::kListed) {
    return lease->caller_ == nullptr ? absl::OkStatus() : CheckRights(method, target, *lease);
  }
  return Told(method, TryAdmitTarget(method, target, lease, credentials));
}

absl::Status CallGate::TryAdmitTarget(const Method& method, const Target& target, Lease* lease,
                                      CredentialsOf credentials) {
  const bool first = !std::exchange(lease->has_target_, true);
  if (lease->access_ != nullptr) {
    if (lease->is_stream_) {
      if (absl::Status status = Refresh(method, lease, credentials); !status.ok()) return status;
      if (first && target.kind != Target::Kind::kItems) {
        lease->stream_target_ = std::make_unique<OwnedTarget>(
            OwnedTarget{target.kind, std::string(target.ns), std::string(target.class_name)});
      }
    }
    if (lease->caller_ != nullptr) {
      if (absl::Status status = CheckRights(method, target, *lease); !status.ok()) return status;
    }
    if (absl::Status status = TakeQuota(target, *lease->access_); !status.ok()) return status;
  }
  if (method.for_clients && target.kind == Target::Kind::kObject && !target.object_class->for_clients) {
    return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_CLASS_READ_ONLY,
                         absl::StrCat("objects of the class ", target.object_class->name,
                                      " are written through its own service only; nothing was done"));
  }
  if (audit_ != nullptr) Audit(method, target, *lease);
  return absl::OkStatus();
}

void CallGate::Audit(const Method& method, const Target& target, const Lease& lease) const {
  if (method.between_nodes && lease.forwarded()) return;
  const bool admin = method.verb == Verb::kAdmin;
  const bool write = method.verb == Verb::kWrite && !target.reads_only && !target.ns.empty();
  if (!admin && !(write && audit_->WantsWritesOf(target.ns))) return;
  audit_->Write({.event = admin ? "admin" : "write",
                 .principal = lease.caller_ == nullptr ? "" : lease.caller_->identity.principal.name(),
                 .peer = lease.connection_->peer(),
                 .method = method.name,
                 .ns = target.ns,
                 .object_class = target.class_name});
}

absl::Status CallGate::AddBytes(Connections::Connection* connection, int64_t bytes) {
  if (!connections_->AddBytes(connection, bytes, limits_.connection_bytes_max)) {
    return Overloaded(absl::StrCat("the calls on this connection would hold over ", limits_.connection_bytes_max,
                                   " bytes (server.connection_bytes_max); read the replies, or ask for less at once"));
  }
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limits_.bytes_max && bytes > 0) {
    RemoveBytes(connection, bytes);
    return Overloaded(
        absl::StrCat("the calls in progress would hold over ", limits_.bytes_max, " bytes (server.call_bytes_max)"));
  }
  return absl::OkStatus();
}

void CallGate::RemoveBytes(Connections::Connection* connection, int64_t bytes) {
  connections_->RemoveBytes(connection, bytes);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

absl::Status CallGate::Hold::Set(int64_t bytes) {
  if (bytes > bytes_) {
    if (absl::Status status = gate_->AddBytes(connection_, bytes - bytes_); !status.ok()) return status;
  } else {
    gate_->RemoveBytes(connection_, bytes_ - bytes);
  }
  bytes_ = bytes;
  return absl::OkStatus();
}

void CallGate::Hold::Count(int64_t bytes) {
  // More bytes are removed than there are: a negative number of them.
  gate_->RemoveBytes(connection_, bytes_ - bytes);
  bytes_ = bytes;
}

absl::Status CallGate::Lease::Set(int64_t* held, int64_t bytes) {
  const int64_t more = bytes - *held;
  if (more == 0) return absl::OkStatus();
  if (more < 0) {
    gate_->RemoveBytes(connection_, -more);
  } else if (absl::Status status = gate_->AddBytes(connection_, more); !status.ok()) {
    return status;
  }
  *held = bytes;
  return absl::OkStatus();
}

absl::Status CallGate::Lease::CountRequest(size_t bytes) {
  return Set(&request_bytes_, kCallBytes + static_cast<int64_t>(bytes));
}

absl::Status CallGate::Lease::ReserveReply(size_t bytes) { return Set(&reply_bytes_, static_cast<int64_t>(bytes)); }

void CallGate::Lease::CountReply(size_t bytes) {
  const int64_t more = static_cast<int64_t>(bytes) - reply_bytes_;
  if (more == 0) return;
  gate_->RemoveBytes(connection_, -more);
  reply_bytes_ += more;
}

void CallGate::Lease::DropRequest() {
  // A small request is not worth the change; Release() counts it off soon.
  if (request_bytes_ <= 2 * kCallBytes) return;
  gate_->RemoveBytes(connection_, std::exchange(request_bytes_, kCallBytes) - kCallBytes);
}

void CallGate::Lease::Release() {
  if (gate_ == nullptr) return;
  const int64_t bytes = request_bytes_ + reply_bytes_;
  gate_->bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  gate_->connections_->End(connection_, bytes, /*keeps=*/!is_open_);
  gate_->calls_.fetch_sub(1, std::memory_order_relaxed);
  if (is_stream_) gate_->streams_.fetch_sub(1, std::memory_order_relaxed);
  if (is_stream_ && is_open_) gate_->open_streams_.fetch_sub(1, std::memory_order_relaxed);
  if (turned_away_) gate_->turned_away_.fetch_sub(1, std::memory_order_relaxed);
  gate_ = nullptr;
  access_ = nullptr;
  caller_ = nullptr;
  request_bytes_ = reply_bytes_ = 0;
}

}  // namespace holdfast::service
