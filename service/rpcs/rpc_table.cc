#include "service/rpcs/rpc_table.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

absl::Status CheckRow(const RpcTable::Service& service, const std::string& method) {
  const auto row = std::find_if(service.rows.begin(), service.rows.end(),
                                [&](const RpcTable::Row& candidate) { return candidate.method == method; });
  if (row == service.rows.end()) {
    return absl::InternalError(absl::StrCat("method ", method, " has no row in the table of RPCs"));
  }
  if (!row->verb) return absl::InternalError(absl::StrCat("method ", method, " has no verb in the table of RPCs"));
  return absl::OkStatus();
}

absl::Status CheckRows(const RpcTable::Service& service) {
  const auto* const descriptor = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service.name);
  if (descriptor == nullptr) {
    return absl::InternalError(absl::StrCat("service ", service.name, " has no descriptor"));
  }
  for (int i = 0; i < descriptor->method_count(); ++i) {
    if (absl::Status status = CheckRow(service, descriptor->method(i)->full_name()); !status.ok()) return status;
  }
  // A second row of a method could have another verb, and a row without a method has nothing to wait for.
  if (service.rows.size() > static_cast<size_t>(descriptor->method_count())) {
    return absl::InternalError(absl::StrCat("service ", service.name, " has ", service.rows.size(),
                                            " rows in the table of RPCs for ", descriptor->method_count(), " methods"));
  }
  return absl::OkStatus();
}

}  // namespace

void RpcTable::Add(Service service) {
  service_names_.push_back(service.name);
  for (const Row& row : service.rows) {
    if (row.set_number != nullptr) row.set_number(method_names_.size());
    method_names_.push_back(row.method);
  }
  services_.push_back(std::move(service));
}

absl::Status RpcTable::CheckComplete() const {
  for (const Service& service : services_) {
    if (absl::Status status = CheckRows(service); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void RpcTable::Register(grpc::ServerBuilder* builder) const {
  for (const Service& service : services_) builder->RegisterService(service.service.get());
}

std::vector<Method> RpcTable::methods() const {
  std::vector<Method> methods;
  for (const Service& service : services_) {
    for (const Row& row : service.rows) {
      methods.push_back({.name = row.method, .verb = *row.verb, .open = row.open, .number = methods.size()});
    }
  }
  return methods;
}

void RpcTable::Post(Endpoint* endpoint) const {
  for (const Service& service : services_) {
    for (const Row& row : service.rows) row.post(endpoint);
  }
}

}  // namespace holdfast::service
