// The contents of the stores of earlier versions in tests/upgrade/stores: objects of every class, packed and with a
// family of their own, SQL databases with migrations, alarms, and replies to requests with an id.

#ifndef HOLDFAST_TESTS_UPGRADE_CONTENTS_H_
#define HOLDFAST_TESTS_UPGRADE_CONTENTS_H_

#include "tests/integration/server_process.h"

namespace holdfast::testing {

// The configuration under which a store is written: two of its objects get a family of their own.
inline constexpr char kWriterConfig[] = "storage { column_families_max: 2 }";

// These two functions write the contents through the API of version 0.1.0. They are called one after the other, each
// with a server of its own on the same directory, so that the store has tables and a log. A call that fails is a failed
// expectation.
void WriteContents(const ServerProcess& server);
void WriteMore(const ServerProcess& server);

// Compares everything in the store with the contents written, and writes some more. Called once for each store.
void CheckContents(const ServerProcess& server);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_UPGRADE_CONTENTS_H_
