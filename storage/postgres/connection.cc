#include "storage/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/postgres/connect.h"

namespace holdfast::storage::postgres {
namespace {

std::string Trimmed(const char* message) {
  absl::string_view text = message == nullptr ? "" : message;
  while (absl::ConsumeSuffix(&text, "\n")) {
  }
  return std::string(text);
}

// Errors with which the server ends a connection: what became of the transaction is not known.
bool EndsConnection(absl::string_view sqlstate) {
  return absl::StartsWith(sqlstate, "57P") || absl::StartsWith(sqlstate, "08");
}

// A connection over libpq.
class LibpqConnection final : public Connection {
 public:
  explicit LibpqConnection(pg_conn* connection);
  ~LibpqConnection() override { PQfinish(connection_); }
  LibpqConnection(const LibpqConnection&) = delete;
  LibpqConnection& operator=(const LibpqConnection&) = delete;

  void Add(const Statement& statement, const Params& params) override;
  TripResult Run(Deadline deadline) override;
  void Send() override;
  bool usable() const override;
  int backend_pid() const override { return PQbackendPID(connection_); }

 private:
  static void OnNotice(void* self, const pg_result* notice);
  void SyncTrip();
  // Waits until the socket can be read, or written if there is something to write. Returns false at the deadline.
  bool WaitForSocket(Deadline deadline, bool write);
  // The messages of one trip: for each the statement that it prepares, or nothing if it executes one.
  using Trip = std::vector<std::string>;
  // Takes the results of one trip.
  void TakeResults(Deadline deadline, const Trip& trip, TripResult* result);
  void Break(TripResult::Kind kind, std::string message, TripResult* result);

  pg_conn* const connection_;
  bool broken_ = false;
  bool warned_ = false;
  absl::flat_hash_set<std::string> prepared_;
  Trip filling_;
  std::vector<Trip> untaken_;  // the trips that were sent and whose results nobody has taken
  std::string failure_;        // of a statement that could not be added
};

}  // namespace

void Rows::Clear::operator()(pg_result* result) const { PQclear(result); }
int Rows::count() const { return PQntuples(result_.get()); }

int Rows::columns() const { return PQnfields(result_.get()); }
int64_t Rows::changed() const {
  int64_t changed = 0;
  return absl::SimpleAtoi(PQcmdTuples(result_.get()), &changed) ? changed : 0;
}
bool Rows::IsNull(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
absl::string_view Rows::Bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}
int64_t Rows::Int(int row, int column) const {
  const absl::string_view bytes = Bytes(row, column);
  if (bytes.empty()) return 0;
  uint64_t value = static_cast<signed char>(bytes[0]) < 0 ? ~uint64_t{0} : 0;
  for (char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return static_cast<int64_t>(value);
}
bool Rows::Bool(int row, int column) const { return Bytes(row, column) == absl::string_view("\1", 1); }

absl::Status TripResult::status() const {
  switch (kind) {
    case Kind::kOk:
      return absl::OkStatus();
    case Kind::kRefused:
    case Kind::kUnknown:
      return absl::UnavailableError(absl::StrCat("PostgreSQL: ", message));
    case Kind::kError:
      break;
  }
  const std::string text = absl::StrCat("PostgreSQL: ", message, " (", sqlstate, ")");
  if (absl::StartsWith(sqlstate, "XX00") && sqlstate != "XX000") return absl::DataLossError(text);
  if (absl::StartsWith(sqlstate, "53")) return absl::ResourceExhaustedError(text);
  // The statement ran too long, or the server has just become a standby.
  if (sqlstate == "57014" || sqlstate == "25006") return absl::UnavailableError(text);
  return absl::InternalError(text);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& conninfo, size_t first_host) {
  const absl::StatusOr<pg_conn*> connected = Connect(conninfo, first_host);
  if (!connected.ok()) return connected.status();
  auto connection = std::make_unique<LibpqConnection>(*connected);
  if (PQsetnonblocking(*connected, 1) != 0 || PQenterPipelineMode(*connected) != 1) {
    return absl::InternalError(absl::StrCat("PostgreSQL: ", Trimmed(PQerrorMessage(*connected))));
  }
  return connection;
}

LibpqConnection::LibpqConnection(pg_conn* connection) : connection_(connection) {
  PQsetNoticeReceiver(connection_, OnNotice, this);
}

void LibpqConnection::OnNotice(void* self, const pg_result* notice) {
  const char* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != nullptr && absl::string_view(severity) == "WARNING")
    static_cast<LibpqConnection*>(self)->warned_ = true;
}

void LibpqConnection::Add(const Statement& statement, const Params& params) {
  if (broken_ || !failure_.empty()) return;
  const auto fail = [this] { failure_ = Trimmed(PQerrorMessage(connection_)); };
  if (prepared_.insert(statement.name).second) {
    if (PQsendPrepare(connection_, statement.name.c_str(), statement.text.c_str(), 0, nullptr) != 1) return fail();
    filling_.push_back(statement.name);
  }
  if (PQsendQueryPrepared(connection_, statement.name.c_str(), params.count(), params.values(), params.lengths(),
                          params.formats(), /*resultFormat=*/1) != 1) {
    return fail();
  }
  filling_.emplace_back();
}

void LibpqConnection::SyncTrip() {
  if (broken_) return;
  if (failure_.empty() && PQpipelineSync(connection_) != 1) failure_ = Trimmed(PQerrorMessage(connection_));
  untaken_.push_back(std::exchange(filling_, {}));
}

void LibpqConnection::Send() {
  SyncTrip();
  if (!broken_ && failure_.empty()) PQflush(connection_);
}

bool LibpqConnection::usable() const {
  return !broken_ && failure_.empty() && PQstatus(connection_) == CONNECTION_OK &&
         (!untaken_.empty() || PQtransactionStatus(connection_) == PQTRANS_IDLE);
}

void LibpqConnection::Break(TripResult::Kind kind, std::string message, TripResult* result) {
  broken_ = true;
  result->kind = kind;
  result->message = std::move(message);
  result->rows.clear();
}

TripResult LibpqConnection::Run(Deadline deadline) {
  TripResult result;
  if (broken_ || PQstatus(connection_) != CONNECTION_OK) {
    // Nothing of this trip has left.
    Break(TripResult::Kind::kRefused, "the connection is lost", &result);
    return result;
  }
  if (!filling_.empty() || untaken_.empty()) SyncTrip();
  if (!failure_.empty()) {
    Break(TripResult::Kind::kUnknown, failure_, &result);
    return result;
  }
  warned_ = false;
  while (!broken_ && !untaken_.empty()) {
    const Trip trip = std::move(untaken_.front());
    untaken_.erase(untaken_.begin());
    result = {};
    TakeResults(deadline, trip, &result);
  }
  result.warned = warned_;
  return result;
}

bool LibpqConnection::WaitForSocket(Deadline deadline, bool write) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd fd = {PQsocket(connection_), static_cast<short>(POLLIN | (write ? POLLOUT : 0)), 0};
    const int ready = poll(&fd, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

void LibpqConnection::TakeResults(Deadline deadline, const Trip& trip, TripResult* result) {
  size_t next = 0;  // in the trip
  while (true) {
    int unsent = PQflush(connection_);
    while (unsent == 1 || PQisBusy(connection_) != 0) {
      if (unsent < 0 || PQstatus(connection_) != CONNECTION_OK) {
        return Break(TripResult::Kind::kUnknown, Trimmed(PQerrorMessage(connection_)), result);
      }
      if (!WaitForSocket(deadline, unsent == 1)) {
        return Break(TripResult::Kind::kUnknown, "no answer before the deadline", result);
      }
      if (PQconsumeInput(connection_) != 1) {
        return Break(TripResult::Kind::kUnknown, Trimmed(PQerrorMessage(connection_)), result);
      }
      unsent = PQflush(connection_);
    }
    pg_result* const raw = PQgetResult(connection_);
    if (raw == nullptr) {
      // The end of one statement's results. In a broken connection nothing else comes.
      if (PQstatus(connection_) != CONNECTION_OK) {
        return Break(TripResult::Kind::kUnknown, Trimmed(PQerrorMessage(connection_)), result);
      }
      continue;
    }
    Rows rows(raw);
    const std::string prepared = next < trip.size() ? trip[next] : "";
    switch (PQresultStatus(raw)) {
      case PGRES_PIPELINE_SYNC:
        if (!result->ok()) result->rows.clear();
        return;
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        if (prepared.empty()) result->rows.push_back(std::move(rows));
        ++next;
        break;
      case PGRES_PIPELINE_ABORTED:
        prepared_.erase(prepared);
        ++next;
        break;
      default: {
        prepared_.erase(prepared);
        ++next;
        const char* const state = PQresultErrorField(raw, PG_DIAG_SQLSTATE);
        std::string message = Trimmed(PQresultErrorMessage(raw));
        if (state == nullptr || EndsConnection(state) || PQstatus(connection_) != CONNECTION_OK) {
          return Break(TripResult::Kind::kUnknown, std::move(message), result);
        }
        if (result->ok()) {
          result->kind = TripResult::Kind::kError;
          result->sqlstate = state;
          result->message = std::move(message);
        }
      }
    }
  }
}

absl::Status CheckConninfo(const std::string& conninfo) {
  char* error = nullptr;
  PQconninfoOption* const options = PQconninfoParse(conninfo.c_str(), &error);
  if (options == nullptr) {
    absl::Status status = absl::InvalidArgumentError(Trimmed(error));
    PQfreemem(error);
    return status;
  }
  PQconninfoFree(options);
  return absl::OkStatus();
}

}  // namespace holdfast::storage::postgres
