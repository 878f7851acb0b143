// Moves all objects between a data directory and a database of PostgreSQL, while no server runs on either.

#ifndef HOLDFAST_SERVICE_MOVE_DATA_H_
#define HOLDFAST_SERVICE_MOVE_DATA_H_

#include <string>

#include "absl/status/status.h"
#include "holdfast/config/v1/config.pb.h"

namespace holdfast::service {

// Copies all objects out of a data directory into the database of `config`, which must have none; the directory stays
// as it is. Begun again after it was cut off, it goes over what is there. Prints what it has copied.
absl::Status MoveDataIn(const config::v1::Config& config, const std::string& directory);

// Copies all objects out of the database of `config` into a new data directory. While it is being written it is called
// DIRECTORY.moving.
absl::Status MoveDataOut(const config::v1::Config& config, const std::string& directory);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_MOVE_DATA_H_
