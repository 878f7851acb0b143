#include "tests/bench/redis_transport.h"

#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace holdfast::bench {
namespace {

constexpr char kHost[] = "127.0.0.1";

// The form in which hiredis takes arguments; it points into the command.
struct Arguments {
  explicit Arguments(const RedisCommand& command) {
    for (const std::string& argument : command) {
      data.push_back(argument.data());
      sizes.push_back(argument.size());
    }
  }
  int count() const { return static_cast<int>(data.size()); }

  std::vector<const char*> data;
  std::vector<size_t> sizes;
};

std::string Text(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return absl::StrCat(reply.integer);
    case REDIS_REPLY_ARRAY:
      return reply.elements == 0 ? "" : Text(*reply.element[reply.elements - 1]);
    case REDIS_REPLY_NIL:
      return "";
    default:
      return std::string(reply.str, static_cast<size_t>(reply.len));
  }
}

}  // namespace

RedisTransport::RedisTransport(int port, int slots, Make make, int depth) : make_(std::move(make)), depth_(depth) {
  for (int i = 0; i < slots; ++i) Open(slots_.emplace_back(std::make_unique<Slot>(Slot{this, i})).get(), port);
}

RedisTransport::~RedisTransport() {
  for (auto& slot : slots_) {
    if (slot->connection != nullptr) redisAsyncFree(slot->connection);
  }
}

void RedisTransport::Open(Slot* slot, int port) {
  redisAsyncContext* const connection = redisAsyncConnect(kHost, port);
  if (connection == nullptr) return;
  if (connection->err != 0) {
    redisAsyncFree(connection);
    return;
  }
  slot->connection = connection;
  connection->data = slot;
  redisLibeventAttach(connection, loop_.base());
  redisAsyncSetConnectCallback(connection, &RedisTransport::OnConnect);
  redisAsyncSetDisconnectCallback(connection, &RedisTransport::OnDisconnect);
}

void RedisTransport::Begin(int index, int64_t number) {
  Slot* const slot = slots_[static_cast<size_t>(index)].get();
  slot->waiting = depth_;
  slot->ok = true;
  for (int i = 0; i < depth_; ++i) {
    const RedisCommand command = make_(number * depth_ + i);
    Arguments arguments(command);
    if (slot->connection == nullptr ||
        redisAsyncCommandArgv(slot->connection, &RedisTransport::OnReply, slot, arguments.count(),
                              arguments.data.data(), arguments.sizes.data()) != REDIS_OK) {
      Replied(slot, false);
    }
  }
}

void RedisTransport::Poll(absl::Time until, Sink* sink) {
  for (const int slot : std::exchange(failed_, {})) {
    sink->Ended(slot, false);
    until = absl::Now();
  }
  sink_ = sink;
  loop_.RunOnce(until);
  sink_ = nullptr;
}

// hiredis frees the connection after either of the two callbacks.
void RedisTransport::OnConnect(const redisAsyncContext* connection, int status) {
  if (status != REDIS_OK) static_cast<Slot*>(connection->data)->connection = nullptr;
}

void RedisTransport::OnDisconnect(const redisAsyncContext* connection, int) {
  static_cast<Slot*>(connection->data)->connection = nullptr;
}

void RedisTransport::OnReply(redisAsyncContext*, void* reply, void* argument) {
  auto* const slot = static_cast<Slot*>(argument);
  slot->transport->Replied(slot, reply != nullptr && static_cast<redisReply*>(reply)->type != REDIS_REPLY_ERROR);
}

void RedisTransport::Replied(Slot* slot, bool ok) {
  slot->ok = slot->ok && ok;
  if (--slot->waiting > 0) return;
  if (sink_ != nullptr) {
    sink_->Ended(slot->index, slot->ok);
  } else {
    failed_.push_back(slot->index);
  }
}

absl::StatusOr<std::vector<std::string>> CallRedis(int port, const std::vector<RedisCommand>& commands) {
  struct Free {
    void operator()(redisContext* connection) const { redisFree(connection); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  const std::unique_ptr<redisContext, Free> connection(redisConnectWithTimeout(kHost, port, {.tv_sec = 10}));
  if (connection == nullptr || connection->err != 0) {
    return absl::UnavailableError(absl::StrCat("Redis on port ", port, " does not answer"));
  }
  for (const RedisCommand& command : commands) {
    Arguments arguments(command);
    redisAppendCommandArgv(connection.get(), arguments.count(), arguments.data.data(), arguments.sizes.data());
  }
  std::vector<std::string> texts;
  for (const RedisCommand& command : commands) {
    void* received = nullptr;
    if (redisGetReply(connection.get(), &received) != REDIS_OK) {
      return absl::UnavailableError(absl::StrCat(command[0], ": ", connection->errstr));
    }
    const std::unique_ptr<redisReply, Free> reply(static_cast<redisReply*>(received));
    if (reply->type == REDIS_REPLY_ERROR) {
      return absl::InternalError(absl::StrCat(command[0], ": ", Text(*reply)));
    }
    texts.push_back(Text(*reply));
  }
  return texts;
}

}  // namespace holdfast::bench
