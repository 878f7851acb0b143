#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "client/commands.h"
#include "proto/utf8.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

constexpr size_t kValueMebibytesMax = 2;  // the server's

constexpr char kKeyValueHelp[] =
    "KEY=VALUE; a VALUE of @FILE is the bytes of that file, - those of the standard input, @@TEXT is the text @TEXT";

// The form of keys and values on the command line, which carries no NUL and only UTF-8.
struct EntryWords {
  StandardInput* input = nullptr;
  bool escapes = false;

  absl::StatusOr<std::string> Bytes(absl::string_view word) const {
    std::string bytes, error;
    if (!escapes) return std::string(word);
    if (!absl::CUnescape(word, &bytes, &error)) {
      return absl::InvalidArgumentError(absl::StrCat("'", word, "' has a wrong escape: ", error));
    }
    return bytes;
  }
  absl::StatusOr<std::string> Key(absl::string_view word) const {
    absl::StatusOr<std::string> key = Bytes(word);
    if (key.ok() && !IsUtf8(*key)) return absl::InvalidArgumentError(absl::StrCat("'", word, "' is not UTF-8"));
    return key;
  }
};

using SharedWords = std::shared_ptr<EntryWords>;

// Declares the escapes. Call it first, since in CLI11 options take effect in the order of their declaration.
SharedWords DeclareEscapes(Arguments& arguments) {
  auto words = std::make_shared<EntryWords>(EntryWords{.input = arguments.input()});
  arguments.Flag("--escapes", "Keys and values have escapes as in C: \\n, \\\\, \\000 for NUL, \\075 for = in a key",
                 [words] { words->escapes = true; });
  return words;
}

absl::StatusOr<std::string> ParseEntryValue(const EntryWords& words, absl::string_view text) {
  if (text == "-") return words.input->Bytes(kValueMebibytesMax);
  if (absl::ConsumePrefix(&text, "@") && !absl::StartsWith(text, "@")) {
    return ReadFile(std::string(text), kValueMebibytesMax);
  }
  return words.Bytes(text);
}

absl::Status ParseEntry(const EntryWords& words, const std::string& word, v1::Entry& entry) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return absl::InvalidArgumentError(absl::StrCat("'", word, "' has no ="));
  const absl::string_view text = absl::string_view(word).substr(equals + 1);
  const absl::StatusOr<std::string> key = words.Key(absl::string_view(word).substr(0, equals));
  if (!key.ok()) return key.status();
  const absl::StatusOr<std::string> value = ParseEntryValue(words, text);
  if (!value.ok()) return value.status();
  entry.set_key(*key);
  entry.set_value(*value);
  return absl::OkStatus();
}

// Returns a parser that reads a key and passes it to `set`.
Arguments::Parse KeyParser(const SharedWords& words, std::function<void(const std::string&)> set) {
  return [words, set = std::move(set)](const std::string& word) {
    const absl::StatusOr<std::string> key = words->Key(word);
    if (key.ok()) set(*key);
    return key.status();
  };
}

template <class Request>
void DeclareKeys(Arguments& arguments, const SharedWords& words, Request& request) {
  arguments
      .Values("KEY", "", "Keys, 1 to 128; after -- they may begin with -",
              KeyParser(words, [&request](const std::string& key) { request.add_keys(key); }))
      ->required();
}

void PrintEntries(const google::protobuf::RepeatedPtrField<v1::Entry>& entries, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::Entry& entry : entries) rows.push_back({entry.key(), entry.etag(), entry.value()});
  text.Table({"KEY", "ETAG", "VALUE"}, rows);
}

Unary<&ObjectService::Stub::GetEntries> Get() {
  auto raw = std::make_shared<bool>(false);
  return {
      .name = "get",
      .help = "Print entries; succeeds also where some do not exist",
      .kind = CallKind::kIdempotent,
      .arguments =
          [raw](Arguments& arguments, auto& request) {
            const SharedWords words = DeclareEscapes(arguments);
            arguments.ObjectName(request.mutable_object());
            DeclareKeys(arguments, words, request);
            arguments.Flag("--raw", "The value of the one KEY byte for byte and nothing else; fails (1) without it",
                           [raw] { *raw = true; });
            arguments.Finish([&request, raw](const GlobalOptions& globals) {
              return *raw && (request.keys_size() != 1 || globals.json)
                         ? absl::InvalidArgumentError("--raw is for one KEY, without --json")
                         : absl::OkStatus();
            });
          },
      .print =
          [raw](const auto& request, const auto& response, TextOutput& text) {
            if (*raw) {
              for (const v1::Entry& entry : response.entries()) text.Raw(entry.value());
              return;
            }
            PrintEntries(response.entries(), text);
            for (const std::string& key : request.keys()) {
              if (std::ranges::none_of(response.entries(), [&key](const auto& entry) { return entry.key() == key; })) {
                text.Line(absl::StrCat("no entry ", key));
              }
            }
          },
      .exit_status = [raw](const auto& response) { return *raw && response.entries().empty() ? kExitFailed : kExitOk; },
  };
}

void DeclareList(Arguments& arguments, v1::ListEntriesRequest& request) {
  const SharedWords words = DeclareEscapes(arguments);
  arguments.ObjectName(request.mutable_object());
  const auto bound = [&](const char* name, const char* help, auto set) {
    arguments.Value(name, "KEY", help, KeyParser(words, set));
  };
  bound("--prefix", "Only keys that begin with this", [&request](const std::string& key) { request.set_prefix(key); });
  bound("--start", "Only keys from this one", [&request](const std::string& key) { request.set_start(key); });
  bound("--start-after", "Only keys after this one",
        [&request](const std::string& key) { request.set_start_after(key); });
  bound("--end", "Only keys before this one", [&request](const std::string& key) { request.set_end(key); });
  arguments.Flag("--reverse", "From the last to the first; the bounds keep their meaning",
                 [&request] { request.set_reverse(true); });
  arguments.Number<int32_t>(
      "--limit", "At most so many over all pages", [&request](int32_t n) { request.set_limit(n); }, 1);
}

// Declares preconditions and steps. The order of the command line counts for both: it decides which precondition is the
// first that does not hold, and which step comes after which.
void DeclareApply(Arguments& arguments, v1::ApplyBatchRequest& request) {
  const SharedWords words = DeclareEscapes(arguments);
  arguments.ObjectName(request.mutable_object());
  arguments.ValuesInOrder(
      "--if-absent", "KEY", "Only if there is no such entry",
      KeyParser(words, [&request](const std::string& key) { request.add_preconditions()->set_key_absent(key); }));
  arguments.ValuesInOrder(
      "--if-present", "KEY", "Only if there is such an entry",
      KeyParser(words, [&request](const std::string& key) { request.add_preconditions()->set_key_present(key); }));
  arguments.ValuesInOrder("--if-etag", "KEY=ETAG", "Only if this is still the entry's etag",
                          [&request, words](const std::string& word) {
                            const size_t equals = word.rfind('=');  // a key may have one, an etag has none
                            if (equals == std::string::npos) {
                              return absl::InvalidArgumentError(absl::StrCat("'", word, "' has no ="));
                            }
                            const auto key = words->Key(absl::string_view(word).substr(0, equals));
                            if (!key.ok()) return key.status();
                            v1::Entry& entry = *request.add_preconditions()->mutable_etag_equals();
                            entry.set_key(*key);
                            entry.set_etag(word.substr(equals + 1));
                            return absl::OkStatus();
                          });
  arguments.ValuesInOrder("--put", "KEY=VALUE", absl::StrCat("Put an entry: ", kKeyValueHelp),
                          [&request, words](const std::string& word) {
                            return ParseEntry(*words, word, *request.add_steps()->mutable_put());
                          });
  arguments.ValuesInOrder("--delete", "KEY", "Delete an entry", KeyParser(words, [&request](const std::string& key) {
                            request.add_steps()->set_delete_key(key);
                          }));
  arguments.ValuesInOrder("--set-alarm", "TIME", "Set the alarm, as `alarm set`", [&request](const std::string& text) {
    const absl::StatusOr<absl::Time> time = ParseMoment(text, absl::Now());
    if (time.ok()) *request.add_steps()->mutable_set_alarm() = ToProto(*time);
    return time.status();
  });
  arguments.FlagInOrder("--delete-alarm", "Unset the alarm",
                        [&request] { request.add_steps()->set_delete_alarm(true); });
  arguments.Text("--token", "TOKEN", "Acknowledge this delivery of an alarm in the same commit",
                 [&request](const std::string& token) { request.set_alarm_delivery_token(token); });
  arguments.Finish([&request](const GlobalOptions&) {
    return request.steps().empty() && request.alarm_delivery_token().empty()
               ? absl::InvalidArgumentError("give one of --put, --delete, --set-alarm, --delete-alarm, --token")
               : absl::OkStatus();
  });
}

}  // namespace

void AddEntryCommands(CommandGroup& object) {
  object.Add(Get());
  object.Add(Unary<&ObjectService::Stub::PutEntries>{
      .name = "put",
      .help = "Create or replace entries, all or none",
      .arguments =
          [](Arguments& arguments, auto& request) {
            const SharedWords words = DeclareEscapes(arguments);
            arguments.ObjectName(request.mutable_object());
            arguments
                .Values("KEY=VALUE", "", absl::StrCat("1 to 128 of ", kKeyValueHelp),
                        [&request, words](const std::string& word) {
                          return ParseEntry(*words, word, *request.add_entries());
                        })
                ->required();
          },
      .print =
          [](const auto& request, const auto&, TextOutput& text) {
            std::set<std::string> keys;
            for (const v1::Entry& entry : request.entries()) keys.insert(entry.key());
            text.Line(absl::StrCat("put  ", keys.size()));
          },
  });
  object.Add(Unary<&ObjectService::Stub::DeleteEntries>{
      .name = "delete",
      .help = "Delete entries, all or none; prints how many there were",
      .arguments =
          [](Arguments& arguments, auto& request) {
            const SharedWords words = DeclareEscapes(arguments);
            arguments.ObjectName(request.mutable_object());
            DeclareKeys(arguments, words, request);
          },
      .print = [](const auto&, const auto& response,
                  TextOutput& text) { text.Line(absl::StrCat("deleted  ", response.deleted_count())); },
  });
  object.Add(Unary<&ObjectService::Stub::ListEntries>{
      .name = "list",
      .help = "List entries in the order of the bytes of their keys",
      .kind = CallKind::kIdempotent,
      .arguments = DeclareList,
      .print = [](const auto&, const auto& response, TextOutput& text) { PrintEntries(response.entries(), text); },
  });
  object.Add(Unary<&ObjectService::Stub::ApplyBatch>{
      .name = "apply",
      .help = "Check all conditions, then take all steps in the order given, in one commit; or do nothing",
      .arguments = DeclareApply,
      .print = [](const auto& request, const auto&,
                  TextOutput& text) { text.Line(absl::StrCat("applied  ", request.steps_size())); },
  });
}

}  // namespace holdfast::client
