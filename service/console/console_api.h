// The descriptors of the services that this server has beside the contract, for the forms of the page's "Try it": those
// of a program's own (service/rpcs/extension.h), and Envoy's. The contract's are embedded with their comments
// (/console/api.binpb); these come out of the program, which has no comments. Reflection is left out: its clients are
// tools.
//
// A program's own methods may be nobody's business, so the file is for those who may ask reflection.
//
// Threading: any thread; nothing changes once it is made. Bounds: the descriptors that the program was built with.

#ifndef HOLDFAST_SERVICE_CONSOLE_CONSOLE_API_H_
#define HOLDFAST_SERVICE_CONSOLE_CONSOLE_API_H_

#include <string>
#include <string_view>
#include <vector>

#include "service/console/console_files.h"

namespace holdfast::service {

class ConsoleApi {
 public:
  // `service_names` are full names: "holdfast.v1.CounterService". Those without a descriptor are left out.
  explicit ConsoleApi(const std::vector<std::string>& service_names);
  ConsoleApi(const ConsoleApi&) = delete;
  ConsoleApi& operator=(const ConsoleApi&) = delete;

  // As FindConsoleFile does; also finds /console/services.binpb, a FileDescriptorSet that goes on where api.binpb ends.
  // The latter lasts as long as this.
  const ConsoleFile* FindFile(std::string_view path) const;

 private:
  const std::string body_;
  const std::string etag_;
  const ConsoleFile file_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CONSOLE_CONSOLE_API_H_
