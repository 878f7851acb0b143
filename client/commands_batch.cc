#include "absl/strings/str_cat.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::BatchProcessorService;

std::vector<std::pair<std::string, std::string>> ConfigFields(const v1::BatchConfig& config) {
  return {{"delay", DurationText(config.delay())},
          {"max items", absl::StrCat(config.max_items())},
          {"retention", DurationText(config.retention())}};
}

// Returns "" if nothing is pending.
template <class Response>
std::string NextFlush(const Response& response) {
  return response.has_next_flush_time() ? TimeText(response.next_flush_time()) : "";
}

void DeclareConfigure(Arguments& arguments, v1::ConfigureBatchRequest& request) {
  arguments.ObjectName(request.mutable_object());
  arguments.Duration("--delay", "From the first pending item to the flush, 1ms to 366 days", [&request](const auto& d) {
    *request.mutable_config()->mutable_delay() = d;
    request.mutable_update_mask()->add_paths("delay");
  });
  arguments.Number<int32_t>("--max-items", "Flush early at so many, 1 to 100,000", [&request](int32_t n) {
    request.mutable_config()->set_max_items(n);
    request.mutable_update_mask()->add_paths("max_items");
  });
  arguments.Duration("--retention", "Remove processed items older than this, 1s to 366 days",
                     [&request](const auto& d) {
                       *request.mutable_config()->mutable_retention() = d;
                       request.mutable_update_mask()->add_paths("retention");
                     });
  arguments.Finish([&request](const GlobalOptions&) {
    return request.has_config() ? absl::OkStatus()
                                : absl::InvalidArgumentError("give one of --delay, --max-items, --retention");
  });
}

}  // namespace

void AddBatchCommands(CommandGroup& root) {
  CommandGroup batch = root.Group("batch", "Items that are processed together, each exactly once", "BatchProcessor");
  batch.Add(Unary<&BatchProcessorService::Stub::AddItems>{
      .name = "add",
      .help = "Add items, durable before the reply",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments
                .FreeTexts("ITEM", "", "Items, 1 to 1,000; after -- they may begin with -; - is the standard input",
                           [&request](const std::string& item) {
                             request.add_items(item);
                             return absl::OkStatus();
                           })
                ->required();
          },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Fields({{"first sequence", absl::StrCat(response.first_sequence())},
                         {"pending", absl::StrCat(response.pending_count())},
                         {"next flush", NextFlush(response)}});
          },
  });
  batch.Add(Unary<&BatchProcessorService::Stub::ConfigureBatch>{
      .name = "configure",
      .help = "Change the settings that are given; prints them all",
      .arguments = DeclareConfigure,
      .print = [](const auto&, const auto& response,
                  TextOutput& text) { text.Fields(ConfigFields(response.config())); },
  });
  batch.Add(Unary<&BatchProcessorService::Stub::FlushBatch>{
      .name = "flush",
      .help = "Process what is pending now",
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print = [](const auto&, const auto& response,
                  TextOutput& text) { text.Line(absl::StrCat("processed  ", response.processed_count())); },
  });
  batch.Add(Unary<&BatchProcessorService::Stub::ListProcessedItems>{
      .name = "list",
      .help = "List processed items, in the order in which they were added",
      .kind = CallKind::kIdempotent,
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments.Number("--after", "Only items after this sequence number",
                             [&request](int64_t n) { request.set_after_sequence(n); });
          },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            std::vector<std::vector<std::string>> rows;
            for (const v1::ProcessedItem& item : response.items()) {
              rows.push_back({absl::StrCat(item.sequence()), TableTime(item.process_time()), item.item()});
            }
            text.Table({"SEQUENCE", "PROCESSED", "ITEM"}, rows);
          },
  });
  batch.Add(Unary<&BatchProcessorService::Stub::TrimProcessedItems>{
      .name = "trim",
      .help = "Remove processed items up to a sequence number",
      .arguments =
          [](Arguments& arguments, auto& request) {
            arguments.ObjectName(request.mutable_object());
            arguments
                .Number("--up-to", "The last one to remove", [&request](int64_t n) { request.set_up_to_sequence(n); })
                ->required();
          },
      .print = [](const auto&, const auto& response,
                  TextOutput& text) { text.Line(absl::StrCat("removed  ", response.removed_count())); },
  });
  batch.Add(Unary<&BatchProcessorService::Stub::GetBatchStatus>{
      .name = "status",
      .help = "Print what is pending, and the settings",
      .kind = CallKind::kIdempotent,
      .arguments = [](Arguments& arguments, auto& request) { arguments.ObjectName(request.mutable_object()); },
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            std::vector<std::pair<std::string, std::string>> fields = {
                {"pending", absl::StrCat(response.pending_count())},
                {"processed", absl::StrCat(response.processed_count())},
                {"next flush", NextFlush(response)}};
            for (auto& field : ConfigFields(response.config())) fields.push_back(std::move(field));
            text.Fields(fields);
          },
  });
}

}  // namespace holdfast::client
