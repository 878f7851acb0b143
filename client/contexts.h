// Contexts: places to connect to, under names, in a file of the user (client_config.proto). One of them is current.
//
// The file is $HOLDFAST_CONFIG, or $XDG_CONFIG_HOME/holdfast/config, or ~/.config/holdfast/config. It holds no secrets,
// only the paths of the files that do.

#ifndef HOLDFAST_CLIENT_CONTEXTS_H_
#define HOLDFAST_CLIENT_CONTEXTS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "holdfast/config/v1/client_config.pb.h"

namespace holdfast::client {

inline constexpr size_t kContextsMax = 1000;
inline constexpr size_t kContextNameBytesMax = 100;

// Returns the path of the file; empty if the environment names no place for one.
std::string ContextFilePath();

// Returns what the file holds; nothing if it does not exist or `path` is empty. INVALID_ARGUMENT names the file, and
// the line or the context: it can't be read; it is malformed; a name is illegal or comes twice; a server is no address.
absl::StatusOr<config::v1::ClientConfig> ReadContexts(const std::string& path);

// Replaces the file in one step, and makes its folder. Only the user may read it. INVALID_ARGUMENT says what failed.
absl::Status WriteContexts(const std::string& path, const config::v1::ClientConfig& config);

// Returns INVALID_ARGUMENT unless a context may have this name: printable ASCII without blanks, at most 100 characters.
absl::Status CheckContextName(absl::string_view name);

// Returns the context of this name. INVALID_ARGUMENT says which there are.
absl::StatusOr<config::v1::ClientContext*> FindContext(config::v1::ClientConfig& config, absl::string_view name);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_CONTEXTS_H_
