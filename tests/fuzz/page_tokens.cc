// Page tokens: bytes that are no token of the server are refused, and a token whose position a client has made up gets
// a page or an error, never another's data.

#include <cstdint>
#include <memory>
#include <string>

#include "actors/objects/batch_processor.h"
#include "actors/objects/plain_object.h"
#include "actors/wire/errors.h"
#include "actors/wire/page_token.h"
#include "storage/base/check.h"
#include "storage/node/catalog_page.h"
#include "storage/store/memory_store.h"
#include "tests/fuzz/input.h"
#include "tests/simulation/node.h"

namespace holdfast::fuzz {
namespace {

template <typename Class, typename Request, typename Response>
class Ask final : public actors::Delivery {
 public:
  using Handler = actors::Task<absl::Status> (Class::*)(const Request&, Response*);
  Ask(Handler handler, Request request) : handler_(handler), request_(std::move(request)) {}
  actors::Task<absl::Status> Run(actors::Object& object) override {
    return (static_cast<Class&>(object).*handler_)(request_, &response);
  }
  void Done(const absl::Status& outcome) override { status = outcome; }

  absl::Status status = absl::UnknownError("not done");
  Response response;

 private:
  const Handler handler_;
  const Request request_;
};

// A node that lives as long as the process.
struct World {
  World() {
    v1::PutEntriesRequest put;
    for (const char* key : {"a", "b", "b\xc3\xbc", "k1", "k2"}) {
      v1::Entry* const entry = put.add_entries();
      entry->set_key(key);
      entry->set_value("value");
    }
    v1::PutEntriesResponse response;
    HOLDFAST_CHECK(Call(plain, actors::PlainObject::Class(), &actors::PlainObject::PutEntries, put, &response).ok(),
                   "the entries of the target");
  }
  template <typename Class, typename Request, typename Response>
  absl::Status Call(const storage::ObjectKey& key, const actors::ObjectClass& object_class,
                    actors::Task<absl::Status> (Class::*handler)(const Request&, Response*), const Request& request,
                    Response* response) {
    Ask<Class, Request, Response> ask(handler, request);
    node.Deliver(key, object_class, &ask);
    node.Settle();
    *response = ask.response;
    return ask.status;
  }

  storage::MemoryStore store;
  simulation::VirtualClock clock;
  simulation::Node node{&store, &clock, {&actors::PlainObject::Class(), &actors::BatchProcessor::Class()}};
  const storage::ObjectKey plain{"default", "Object", "plain"};
  const storage::ObjectKey batch{"default", "BatchProcessor", "batch"};
};

World& TheWorld() {
  static auto* const world = new World;
  return *world;
}

void CheckStatus(const absl::Status& status) {
  HOLDFAST_CHECK(status.ok() || status.code() == absl::StatusCode::kInvalidArgument, status.ToString());
}

// Returns a request with the token of a position that no server gave.
template <typename Request>
Request WithPosition(Request request, const std::string& position) {
  request.set_page_token(actors::MakePageToken(actors::PageFingerprint(request), position));
  return request;
}

void CheckToken(absl::string_view token) {
  const auto position = actors::ParsePageToken(token, 42);
  if (!position.ok()) return;
  const auto again = actors::ParsePageToken(actors::MakePageToken(42, *position), 42);
  HOLDFAST_CHECK(again.ok() && *again == *position, "a token gives back another position");
}

void CheckLists(Input input) {
  World& world = TheWorld();
  const uint8_t how = input.Byte();
  v1::ListEntriesRequest list;
  list.set_reverse(how % 2 == 1);
  if (how % 4 > 1) list.set_start("b");
  if (how % 8 > 3) list.set_limit(3);
  if (how % 16 > 7) list.set_prefix("k");
  const std::string position(input.rest());
  v1::ListEntriesResponse entries;
  CheckStatus(world.Call(world.plain, actors::PlainObject::Class(), &actors::Object::ListEntries,
                         WithPosition(list, position), &entries));
  for (const v1::Entry& entry : entries.entries()) {
    HOLDFAST_CHECK(entry.value() == "value", "an entry of another kind");
    HOLDFAST_CHECK(!list.has_start() || entry.key() >= list.start(), "an entry before the start");
    HOLDFAST_CHECK(entry.key().substr(0, list.prefix().size()) == list.prefix(), "an entry without the prefix");
  }
  v1::ListProcessedItemsResponse items;
  CheckStatus(world.Call(world.batch, actors::BatchProcessor::Class(), &actors::BatchProcessor::ListProcessedItems,
                         WithPosition(v1::ListProcessedItemsRequest(), position), &items));
  // The position of a list of objects is a key of the catalog.
  const auto page = storage::ReadCatalogPage(&world.store, {.ns = how % 2 == 0 ? "default" : "other",
                                                            .object_class = how % 4 > 1 ? "Object" : "",
                                                            .name_prefix = "",
                                                            .after = position,
                                                            .count_max = 10,
                                                            .bytes_max = 1 << 20});
  if (!page.ok()) return;
  for (const auto& item : page->items) HOLDFAST_CHECK(how % 2 == 0 && item.id.ns == "default", "another namespace");
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  holdfast::fuzz::Input input(data, bytes);
  if (input.Byte() % 2 == 0) {
    holdfast::fuzz::CheckToken(input.rest());
  } else {
    holdfast::fuzz::CheckLists(input);
  }
  return 0;
}
