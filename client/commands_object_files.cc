// object export and object import: a whole object as a file.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "client/files.h"
#include "client/request_id.h"
#include "holdfast/tool/v1/output.pb.h"

namespace holdfast::client {
namespace {

struct FileOptions {
  v1::ObjectId object;
  std::string file;
  bool replace = false;
};

void DeclareFile(Arguments& arguments, const std::shared_ptr<FileOptions>& options, const std::string& help) {
  arguments.ObjectName(&options->object);
  arguments
      .Value("FILE", "", help,
             [options](const std::string& file) {
               options->file = file;
               return absl::OkStatus();
             })
      ->required();
}

int Export(const FileOptions& options, Session& session) {
  v1::ExportObjectRequest request;
  *request.mutable_object() = options.object;
  request.mutable_object()->set_namespace_(session.globals().ns);
  const auto bytes =
      WriteInParts(options.file, [&](OnChunk on_chunk) { return session.client().ExportObject(request, on_chunk); });
  if (!bytes.ok()) return session.Failed(CallKind::kIdempotent, bytes.status());
  if (session.globals().json) {
    tool::v1::ExportedFile exported;
    exported.set_bytes(*bytes);
    return session.PrintJson(exported);
  }
  session.text().Line(absl::StrCat(*bytes, " bytes"));
  return kExitOk;
}

int Import(const FileOptions& options, Session& session) {
  v1::ImportObjectHeader header;
  *header.mutable_object() = options.object;
  header.mutable_object()->set_namespace_(session.globals().ns);
  header.set_replace(options.replace);
  header.set_request_id(session.globals().request_id.empty() ? NewRequestId() : session.globals().request_id);
  v1::ImportObjectResponse response;
  const absl::Status status = ReadInParts(options.file, [&](NextChunk next) -> absl::Status {
    auto reply = session.client().ImportObject(header, next);
    if (!reply.ok()) return reply.status();
    response = *std::move(reply);
    return absl::OkStatus();
  });
  if (!status.ok()) return session.Failed(CallKind::kMutation, status, header.request_id());
  if (session.globals().json) return session.PrintJson(response);
  session.text().Line(absl::StrCat(response.bytes(), " bytes"));
  return kExitOk;
}

}  // namespace

void AddObjectFileCommands(CommandGroup& object) {
  object.Command("export", "Write a whole object of any class to a file: keys, records, SQL database and alarm",
                 [](Arguments& arguments) -> CommandBody {
                   auto options = std::make_shared<FileOptions>();
                   arguments.PrintsJson<tool::v1::ExportedFile>();
                   DeclareFile(arguments, options, "The file, which is replaced if it is there");
                   return [options](Session& session) { return Export(*options, session); };
                 });
  object.Command("import", "Make an object what the file of an export says, in one commit",
                 [](Arguments& arguments) -> CommandBody {
                   auto options = std::make_shared<FileOptions>();
                   arguments.PrintsJson<v1::ImportObjectResponse>();
                   DeclareFile(arguments, options, "The file of an export");
                   arguments.Flag("--replace", "Replace an object that is there; without this it is left as it is",
                                  [options] { options->replace = true; });
                   return [options](Session& session) { return Import(*options, session); };
                 });
}

}  // namespace holdfast::client
