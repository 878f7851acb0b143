// Connects to the one of several servers that takes writes, whichever of them are gone, hang or are standbys.
//
// libpq asks its hosts one after the other, and each that does not answer costs connect_timeout. While a primary hangs,
// the server that is promoted in its place would be found up to twice that late. So several hosts are asked side by
// side here: the next one after a head start, or when the one before has said no; and who has said no, such as a
// standby that may be promoted, is asked again as long as another one has not answered. Of the addresses of all hosts
// the first 32 are asked.
//
// Threading: any thread. Blocking, for connect_timeout at most (2 s where the conninfo has none) and what the names of
// hosts take to be looked up.

#ifndef HOLDFAST_STORAGE_POSTGRES_CONNECT_H_
#define HOLDFAST_STORAGE_POSTGRES_CONNECT_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

// libpq's own type, whose header only the .cc files include.
struct pg_conn;

namespace holdfast::storage::postgres {

// Connects to the first server of `conninfo` that fits, of which the host of this number, modulo the number of hosts,
// has the longest head start. The caller ends the connection. Errors: UNAVAILABLE with libpq's messages, which have no
// password.
absl::StatusOr<pg_conn*> Connect(const std::string& conninfo, size_t first_host);

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_CONNECT_H_
