// Serializes equal messages to equal bytes; by default Protobuf writes maps in any order.

#ifndef HOLDFAST_ACTORS_WIRE_DETERMINISTIC_H_
#define HOLDFAST_ACTORS_WIRE_DETERMINISTIC_H_

#include <string>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message_lite.h"

namespace holdfast::actors {

inline std::string SerializeDeterministically(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_DETERMINISTIC_H_
