#include "service/call/outbox.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace holdfast::service {

void Outbox::Add(Connections* connections, Connections::Connection* connection, absl::AnyInvocable<void()> send) {
  replies_.push_back({connections, connection, std::move(send)});
}

void Outbox::Flush() {
  if (replies_.empty()) return;
  // A reply that is sent may add another, which is for the next round.
  std::swap(sending_, replies_);
  if (sending_.size() >= kTogetherMin) {
    std::stable_sort(sending_.begin(), sending_.end(),
                     [](const Reply& a, const Reply& b) { return a.connection < b.connection; });
  }
  for (auto reply = sending_.begin(); reply != sending_.end();) {
    const auto end =
        std::find_if(reply, sending_.end(), [&](const Reply& other) { return other.connection != reply->connection; });
    std::optional<Connections::Corked> corked;
    if (static_cast<size_t>(end - reply) >= kTogetherMin) corked.emplace(*reply->connections, *reply->connection);
    for (; reply != end; ++reply) reply->send();
  }
  sending_.clear();
}

}  // namespace holdfast::service
