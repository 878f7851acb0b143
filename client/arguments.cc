#include "client/arguments.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "proto/utf8.h"

namespace holdfast::client {
namespace {

// This mark goes before a word that has a meaning for CLI11, so that it has none; Received takes the mark off again.
constexpr absl::string_view kMark = "\x1f";

constexpr size_t kTextMebibytesMax = 4;  // the server's bound for a request

bool NeedsMark(absl::string_view word) {
  return absl::StartsWith(word, kMark) || absl::StartsWith(word, "[") || word == "++";
}

std::string Received(const std::string& word) { return std::string(absl::StripPrefix(word, kMark)); }

// Makes a callback of CLI11. It reports a wrong value by throwing, as CLI11 expects.
CLI::callback_t Callback(const std::string& name, Arguments::Parse parse) {
  return [name, parse = std::move(parse)](const CLI::results_t& words) {
    for (const std::string& word : words) {
      const absl::Status status = parse(Received(word));
      if (!status.ok()) throw CLI::ValidationError(name, std::string(status.message()));
    }
    return true;
  };
}

}  // namespace

absl::StatusOr<int64_t> ParseInteger(absl::string_view text, int64_t min, int64_t max) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
    const bool bounded = min != std::numeric_limits<int64_t>::min() || max != std::numeric_limits<int64_t>::max();
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a whole number ",
                                                   bounded ? absl::StrCat("from ", min, " to ", max) : "of 64 bits"));
  }
  return value;
}

absl::StatusOr<absl::Duration> ParseFiniteDuration(absl::string_view text) {
  absl::Duration value;
  // The bound is that of google.protobuf.Duration, 10,000 years.
  if (!absl::ParseDuration(text, &value) || absl::AbsDuration(value) > absl::Seconds(315'576'000'000)) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a duration such as 500ms, 1.5s, 10m or 168h"));
  }
  return value;
}

absl::StatusOr<absl::Time> ParseMoment(absl::string_view text, absl::Time now) {
  absl::Duration delay;
  if (absl::StartsWith(text, "+") && !absl::StartsWith(text, "+-") && !absl::StartsWith(text, "++") &&
      absl::ParseDuration(text.substr(1), &delay) && delay < absl::Hours(24 * 366 * 1000)) {
    return absl::FromUnixMicros(absl::ToUnixMicros(now + delay));  // the server has no finer times
  }
  absl::Time time;
  std::string error;
  // The bounds are those of google.protobuf.Timestamp. ParseTime also knows words, such as infinite-future.
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error) ||
      time < absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone()) ||
      time >= absl::FromCivil(absl::CivilYear(10'000), absl::UTCTimeZone())) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not a time such as 2024-05-01T12:00:00Z, or +10m for in ten minutes"));
  }
  return time;
}

absl::StatusOr<v1::RateLimitAlgorithm> ParseAlgorithm(absl::string_view text) {
  if (text == "sliding-window-log") return v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG;
  if (text == "gcra") return v1::RATE_LIMIT_ALGORITHM_GCRA;
  if (text == "fixed-window") return v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW;
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is none of sliding-window-log, gcra, fixed-window"));
}

absl::StatusOr<std::string> ParseAddress(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("the address is empty");
  const size_t colon = text.find("://");
  const absl::string_view scheme = text.substr(0, colon);
  // These are names of gRPC's resolvers.
  if (colon == absl::string_view::npos || scheme == "dns" || scheme == "unix" || scheme == "ipv4" || scheme == "ipv6") {
    return std::string(text);
  }
  absl::string_view host = text.substr(colon + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  host = host.substr(host.rfind('@') + 1);  // npos + 1 is 0
  std::string address = host.empty() ? "127.0.0.1" : std::string(host);
  const size_t port = address.rfind(':');
  if (port == std::string::npos || address.find(']', port) != std::string::npos) address += ":50051";
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is a URL; the form is HOST:PORT, as in ", address));
}

absl::StatusOr<std::string> StandardInput::Bytes(size_t mebibytes_max) {
  if (read_) return absl::InvalidArgumentError("the standard input can be read for one value only");
  read_ = true;
  const size_t bytes_max = mebibytes_max << 20;
  std::string bytes(bytes_max + 1, '\0');
  stream_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(stream_.gcount());
  if (stream_.bad()) return absl::InvalidArgumentError("the standard input can't be read");
  if (bytes.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat("the standard input is over ", mebibytes_max, " MiB"));
  }
  return bytes;
}

absl::StatusOr<std::string> StandardInput::Text() {
  absl::StatusOr<std::string> text = Bytes(kTextMebibytesMax);
  if (!text.ok()) return text;
  if (!IsUtf8(*text)) return absl::InvalidArgumentError("the standard input is not UTF-8");
  if (absl::EndsWith(*text, "\n")) text->pop_back();
  return text;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(static_cast<int32_t>(absl::IDivDuration(duration, absl::Nanoseconds(1), &duration)));
  return proto;
}

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp proto;
  proto.set_seconds(absl::ToUnixSeconds(time));  // rounded down, as in a Timestamp
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(proto.seconds()))));
  return proto;
}

absl::StatusOr<std::vector<std::string>> PrepareWords(int argc, const char* const* argv) {
  std::vector<std::string> words;
  bool options_ended = false;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    if (!IsUtf8(word)) return absl::InvalidArgumentError(absl::StrCat("argument ", i, " is not UTF-8"));
    if (!options_ended && word == "--") {
      options_ended = true;
      continue;
    }
    const size_t equals = word.find('=');
    if (!options_ended && absl::StartsWith(word, "--") && equals != absl::string_view::npos) {
      const absl::string_view value = word.substr(equals + 1);
      if (value.empty() || NeedsMark(value)) {
        words.emplace_back(word.substr(0, equals));
        words.push_back(absl::StrCat(kMark, value));
        continue;
      }
    }
    const bool marked = NeedsMark(word) || (options_ended && absl::StartsWith(word, "-"));
    words.push_back(marked ? absl::StrCat(kMark, word) : std::string(word));
  }
  return words;
}

std::string RestoreWords(absl::string_view message) { return absl::StrReplaceAll(message, {{kMark, ""}}); }

CLI::Option* Arguments::Value(const std::string& name, const std::string& type, const std::string& help, Parse parse) {
  CLI::Option* const option = app_->add_option(name, Callback(name, std::move(parse)), help)->type_name(type);
  return type == "FILE" || name == "FILE" ? Takes(option, {.kind = ValueNote::Kind::kFile}) : option;
}

CLI::Option* Arguments::Values(const std::string& name, const std::string& type, const std::string& help, Parse parse) {
  CLI::Option* option = Value(name, type, help, std::move(parse))->take_all();
  return option->get_positional() ? option->expected(CLI::detail::expected_max_vector_size) : option;
}

CLI::Option* Arguments::Text(const std::string& name, const std::string& type, const std::string& help,
                             std::function<void(const std::string&)> set) {
  return Value(name, type, help, [set = std::move(set)](const std::string& text) {
    set(text);
    return absl::OkStatus();
  });
}

Arguments::Parse Arguments::WithInput(Parse parse) const {
  return [input = input_, parse = std::move(parse)](const std::string& word) {
    if (word != "-") return parse(word);
    const absl::StatusOr<std::string> text = input->Text();
    return text.ok() ? parse(*text) : text.status();
  };
}

CLI::Option* Arguments::FreeText(const std::string& name, const std::string& type, const std::string& help,
                                 Parse parse) {
  return Value(name, type, help, WithInput(std::move(parse)));
}

CLI::Option* Arguments::FreeTexts(const std::string& name, const std::string& type, const std::string& help,
                                  Parse parse) {
  return Values(name, type, help, WithInput(std::move(parse)));
}

CLI::Option* Arguments::Duration(const std::string& name, const std::string& help,
                                 std::function<void(const google::protobuf::Duration&)> set) {
  return Value(name, "DURATION", help, [set = std::move(set)](const std::string& text) {
    const absl::StatusOr<absl::Duration> value = ParseFiniteDuration(text);
    if (value.ok()) set(ToProto(*value));
    return value.status();
  });
}

CLI::Option* Arguments::Flag(const std::string& name, const std::string& help, std::function<void()> set) {
  return app_->add_flag_callback(name, std::move(set), help);
}

CLI::Option* Arguments::ValuesInOrder(const std::string& name, const std::string& type, const std::string& help,
                                      Parse parse) {
  auto in_order = std::make_shared<InOrder>(InOrder{.words = {}, .parse = std::move(parse)});
  CLI::Option* option = Values(name, type, help, [in_order](const std::string& word) {
    in_order->words.push_back(word);
    return absl::OkStatus();
  });
  in_order_[option] = in_order;
  return option;
}

CLI::Option* Arguments::FlagInOrder(const std::string& name, const std::string& help, std::function<void()> set) {
  CLI::Option* option = app_->add_flag(name, help)->take_all();
  in_order_[option] = std::make_shared<InOrder>(InOrder{.words = {}, .parse = [set = std::move(set)](const auto&) {
                                                          set();
                                                          return absl::OkStatus();
                                                        }});
  return option;
}

absl::Status Arguments::ParseInOrder() const {
  std::map<const CLI::Option*, size_t> parsed;
  // CLI11 has an option here once for each value.
  for (const CLI::Option* option : app_->parse_order()) {
    const auto found = in_order_.find(option);
    if (found == in_order_.end()) continue;
    const auto& [words, parse] = *found->second;
    const size_t i = parsed[option]++;
    const absl::Status status = parse(i < words.size() ? words[i] : "");
    if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat(option->get_name(), ": ", status.message()));
  }
  return absl::OkStatus();
}

void Arguments::ImpliedClass() {
  TakesWords(Value("--class", "CLASS", absl::StrCat(implied_class_, ", the only class that this command is for"),
                   [implied = implied_class_](const std::string& name) {
                     return name == implied
                                ? absl::OkStatus()
                                : absl::InvalidArgumentError(absl::StrCat("'", name, "' is not ", implied,
                                                                          ", the only class that this command is for"));
                   }),
             {implied_class_});
}

void Arguments::TakesNoRequestId() {
  Finish([](const GlobalOptions& globals) {
    return globals.request_id.empty() ? absl::OkStatus()
                                      : absl::InvalidArgumentError("this command takes no --request-id");
  });
}

absl::Status Arguments::RunFinish(const GlobalOptions& globals) const {
  if (absl::Status status = ParseInOrder(); !status.ok()) return status;
  for (const auto& finish : finish_) {
    if (absl::Status status = finish(globals); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace holdfast::client
