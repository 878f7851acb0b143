#include "service/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

// A service manager's end: a socket of datagrams at a path, or at a name in the abstract namespace.
class Listener {
 public:
  explicit Listener(const std::string& name) : file_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(bind(file_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0)
        << std::strerror(errno);
  }
  ~Listener() { close(file_); }

  // Returns the next datagram, or "nothing".
  std::string Next() {
    char text[256];
    const ssize_t size = recv(file_, text, sizeof(text), 0);
    return size < 0 ? "nothing" : std::string(text, static_cast<size_t>(size));
  }

 private:
  const int file_;
};

TEST(NotifyTest, TellsASocketAtAPath) {
  const std::string path = absl::StrCat(testing::TempDir(), "notify-", getpid());
  std::filesystem::remove(path);
  Listener listener(path);
  EXPECT_TRUE(NotifyServiceManager(path, "READY=1").ok());
  EXPECT_TRUE(NotifyServiceManager(path, "STOPPING=1").ok());
  EXPECT_EQ(listener.Next(), "READY=1");
  EXPECT_EQ(listener.Next(), "STOPPING=1");
  EXPECT_EQ(listener.Next(), "nothing");
  std::filesystem::remove(path);
}

TEST(NotifyTest, TellsASocketOfTheAbstractNamespace) {
  const std::string name = absl::StrCat("@holdfast-notify-", getpid());
  Listener listener(name);
  EXPECT_TRUE(NotifyServiceManager(name, "READY=1").ok());
  EXPECT_EQ(listener.Next(), "READY=1");
}

TEST(NotifyTest, DoesNothingWithoutAServiceManager) { EXPECT_TRUE(NotifyServiceManager("", "READY=1").ok()); }

TEST(NotifyTest, SaysWhatIsWrong) {
  EXPECT_EQ(NotifyServiceManager("vsock:2:1234", "READY=1").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(NotifyServiceManager(absl::StrCat("/", std::string(200, 'x')), "READY=1").code(),
            absl::StatusCode::kInvalidArgument);
  const std::string nobody = absl::StrCat(testing::TempDir(), "nobody-", getpid());
  EXPECT_EQ(NotifyServiceManager(nobody, "READY=1").code(), absl::StatusCode::kUnavailable);
}

// A full socket of a manager that does not read must not hold the server up.
TEST(NotifyTest, NeverWaits) {
  const std::string name = absl::StrCat("@holdfast-notify-full-", getpid());
  Listener listener(name);
  absl::Status status;
  for (int i = 0; i < 100000 && status.ok(); ++i) status = NotifyServiceManager(name, "READY=1");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::service
