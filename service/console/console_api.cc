#include "service/console/console_api.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <openssl/sha.h>

#include <array>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast::service {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorSet;

constexpr char kEmbedded[] = "/console/api.binpb";
constexpr char kPath[] = "/console/services.binpb";
constexpr char kReflection[] = "grpc.reflection.";

// Adds the file after those that it imports, each unless its name is in `present`.
void AddFile(const FileDescriptor& file, std::set<std::string>* present, FileDescriptorSet* set) {
  if (!present->insert(file.name()).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), present, set);
  google::protobuf::FileDescriptorProto* const proto = set->add_file();
  file.CopyTo(proto);
  file.CopyJsonNameTo(proto);  // the page names fields as JSON does
}

// Returns the files of the services that the embedded descriptors lack, serialized.
std::string FilesOf(const std::vector<std::string>& service_names) {
  const std::string_view embedded = FindConsoleFile(kEmbedded)->body;
  FileDescriptorSet contract;
  contract.ParseFromArray(embedded.data(), static_cast<int>(embedded.size()));
  std::set<std::string> present;
  for (const auto& file : contract.file()) present.insert(file.name());
  FileDescriptorSet files;
  for (const std::string& name : service_names) {
    if (absl::StartsWith(name, kReflection)) continue;
    const auto* const service = DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service != nullptr) AddFile(*service->file(), &present, &files);
  }
  return files.SerializeAsString();
}

std::string EtagOf(const std::string& body) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), hash.data());
  // Half of the hash, as the embedded files have it.
  const absl::string_view half(reinterpret_cast<const char*>(hash.data()), hash.size() / 2);
  return absl::StrCat("\"", absl::BytesToHexString(half), "\"");
}

}  // namespace

ConsoleApi::ConsoleApi(const std::vector<std::string>& service_names)
    : body_(FilesOf(service_names)),
      etag_(EtagOf(body_)),
      file_{.path = kPath,
            .content_type = "application/octet-stream",
            .body = body_,
            .etag = etag_,
            .for_readers = true} {}

const ConsoleFile* ConsoleApi::FindFile(std::string_view path) const {
  return path == file_.path ? &file_ : FindConsoleFile(path);
}

}  // namespace holdfast::service
