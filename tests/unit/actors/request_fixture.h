// A fixture for the tests of requests with a request_id: a request that adds, and the records in the store.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_REQUEST_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_REQUEST_FIXTURE_H_

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {

using Reply = std::shared_ptr<Sent<std::string>>;

class RequestRecordsTest : public ScriptedTest {
 protected:
  // Adds one to "n" and replies with the new number, and with bytes that no other run gives.
  static Task<absl::Status> Add(ScriptedObject& self, std::string* reply) {
    auto value = co_await self.storage().Get("n");
    if (!value.ok()) co_return value.status();
    const int number = std::stoi((*value).value_or("0")) + 1;
    *reply = absl::StrCat(number, " ", self.random().Bits(), std::string("\0\xff", 2));
    co_return self.storage().Put("n", absl::StrCat(number));
  }
  Reply SendAdd(const std::string& name, const std::string& id, const std::string& text = "add") {
    return SendRecorded(name, id, text, Add);
  }
  Reply AskAdd(const std::string& name, const std::string& id, const std::string& text = "add") {
    auto sent = SendAdd(name, id, text);
    node->Settle();
    EXPECT_TRUE(sent->done());
    return sent;
  }
  int Number(const std::string& name) { return std::stoi(Get(name, "n").value_or("0")); }
  // Returns the number of records in the store.
  size_t RecordCount() {
    size_t count = 0;
    for (const auto& [key, value] : recording.DumpFamily(storage::FamilyId::kRequests)) {
      if (key[0] == storage::kRequestRecordKind) ++count;
    }
    return count;
  }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_REQUEST_FIXTURE_H_
