#include "service/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace holdfast::service {

absl::Status NotifyServiceManager(absl::string_view socket, absl::string_view state) {
  if (socket.empty()) return absl::OkStatus();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // A path ends with a zero byte; a name in the abstract namespace begins with one.
  if ((socket[0] != '/' && socket[0] != '@') || socket.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET is no address of a socket: ", socket.substr(0, 200)));
  }
  std::memcpy(address.sun_path, socket.data(), socket.size());
  if (socket[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());

  const int file = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (file < 0) return absl::UnavailableError(std::generic_category().message(errno));
  const ssize_t sent =
      sendto(file, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length);
  const int error = errno;
  close(file);
  if (sent < 0) return absl::UnavailableError(absl::StrCat(socket, ": ", std::generic_category().message(error)));
  return absl::OkStatus();
}

}  // namespace holdfast::service
