#include "actors/objects/request_log.h"

#include <algorithm>
#include <limits>

namespace holdfast::actors {
namespace {

using storage::v1::LimitRow;
using storage::v1::RequestRow;

bool Fits32(int64_t number) { return number >= 0 && number <= std::numeric_limits<int32_t>::max(); }

bool IsWhole(const RequestRow& row) {
  if (!Fits32(row.sequence()) || !Fits32(row.cost()) || row.later_size() % 2 != 0) return false;
  int64_t time_us = row.time_us();
  for (int i = 0; i < row.later_size(); i += 2) {
    if (row.later(i) < 0 || __builtin_add_overflow(time_us, row.later(i), &time_us)) return false;
    if (!Fits32(row.later(i + 1))) return false;
  }
  return true;
}

}  // namespace

size_t RequestLog::Expired(int64_t now_us) {
  while (expired_ < requests_.size() && now_us - requests_[expired_].time_us > window_us_) {
    used_ -= requests_[expired_++].cost;
  }
  return expired_;
}

void RequestLog::Add(int64_t time_us, int64_t cost) {
  int32_t row = empty() ? 0 : kSameRow;
  if (const size_t newest = NewestRowSize();
      newest >= kRowRequestsMax || (!empty() && time_us < this->newest().time_us)) {
    const Request& first = requests_[requests_.size() - newest];
    row = first.time_us == time_us ? first.row + 1 : 0;
  }
  requests_.push_back({time_us, static_cast<int32_t>(cost), row});
  used_ += cost;
}

bool RequestLog::AddRow(const RequestRow& row) {
  if (!IsWhole(row)) return false;
  Request request{row.time_us(), static_cast<int32_t>(row.cost()), static_cast<int32_t>(row.sequence())};
  for (int i = 0;; i += 2) {
    requests_.push_back(request);
    used_ += request.cost;
    if (i == row.later_size()) return true;
    request = {request.time_us + row.later(i), static_cast<int32_t>(row.later(i + 1)), kSameRow};
  }
}

std::optional<RequestLog::Request> RequestLog::GiveBackNewest(int64_t units, int64_t now_us) {
  if (Expired(now_us) == requests_.size()) return std::nullopt;
  const Request newest = requests_.back();
  const int64_t given_back = std::min<int64_t>(units, newest.cost);
  used_ -= given_back;
  if (given_back == newest.cost) {
    requests_.pop_back();
  } else {
    requests_.back().cost -= static_cast<int32_t>(given_back);
  }
  return newest;
}

void RequestLog::DropOldestRow() {
  for (size_t i = OldestRowSize(); i > 0; --i) {
    if (expired_ > 0) {
      --expired_;
    } else {
      used_ -= requests_.front().cost;
    }
    requests_.pop_front();
  }
}

bool RequestLog::OldestRowExpired(int64_t now_us) {
  const size_t expired = Expired(now_us);
  return expired > 0 && expired >= OldestRowSize();
}

size_t RequestLog::OldestRowSize() const {
  if (empty()) return 0;
  const auto next = std::find_if(requests_.begin() + 1, requests_.end(), [](const Request& r) { return r.row >= 0; });
  return static_cast<size_t>(next - requests_.begin());
}

size_t RequestLog::NewestRowSize() const {
  const auto first = std::find_if(requests_.rbegin(), requests_.rend(), [](const Request& r) { return r.row >= 0; });
  return empty() ? 0 : static_cast<size_t>(first - requests_.rbegin()) + 1;
}

RequestRow RequestLog::OldestRow(const LimitRow& limit) const { return RowOf(limit, 0, OldestRowSize()); }

RequestRow RequestLog::NewestRow(const LimitRow& limit) const {
  return RowOf(limit, requests_.size() - NewestRowSize(), requests_.size());
}

RequestRow RequestLog::RowOf(const LimitRow& limit, size_t begin, size_t end) const {
  auto request = requests_.begin() + static_cast<std::ptrdiff_t>(begin);
  RequestRow row;
  row.set_key(limit.key());
  row.set_algorithm(limit.algorithm());
  row.set_window_us(limit.window_us());
  row.set_time_us(request->time_us);
  row.set_sequence(request->row);
  row.set_cost(request->cost);
  row.mutable_later()->Reserve(static_cast<int>(2 * (end - begin - 1)));
  int64_t before_us = request->time_us;
  while (++begin < end) {
    ++request;
    row.add_later(request->time_us - before_us);
    row.add_later(request->cost);
    before_us = request->time_us;
  }
  return row;
}

RequestRow WithoutNewest(const RequestRow& row) {
  RequestRow shorter = row;
  shorter.mutable_later()->Truncate(row.later_size() - 2);
  return shorter;
}

void ForgetRequests(int64_t up_to_us, RequestRow* row) {
  int64_t time_us = row->time_us();
  if (time_us <= up_to_us) row->set_cost(0);
  for (int i = 0; i < row->later_size(); i += 2) {
    time_us += row->later(i);
    if (time_us <= up_to_us) row->set_later(i + 1, 0);
  }
}

}  // namespace holdfast::actors
