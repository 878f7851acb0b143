#include "storage/object/object_image.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/store/format.h"

namespace holdfast::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are in memory");

constexpr absl::string_view kMagic = "HFOBJECT";
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumBytes = 16;

template <typename Number>
void Append(Number number, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void AppendText(absl::string_view text, std::string* bytes) {
  Append(static_cast<uint32_t>(text.size()), bytes);
  bytes->append(text.data(), text.size());
}

template <typename Number>
bool Take(absl::string_view* bytes, Number* number) {
  if (bytes->size() < sizeof(*number)) return false;
  std::memcpy(number, bytes->data(), sizeof(*number));
  bytes->remove_prefix(sizeof(*number));
  return true;
}

bool TakeText(absl::string_view* bytes, std::string* text) {
  uint32_t size;
  if (!Take(bytes, &size) || size > bytes->size()) return false;
  text->assign(bytes->data(), size);
  bytes->remove_prefix(size);
  return true;
}

std::string ChecksumOf(absl::string_view bytes) {
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(bytes.data(), bytes.size()));
  return std::string(reinterpret_cast<const char*>(hash.digest), sizeof(hash.digest));
}

// Makes the alarm of a client that of an object to which no delivery belongs: an alarm that is out is due again.
void EndDelivery(v1::ClientAlarm* alarm) {
  const v1::AlarmDelivery& delivery = alarm->delivery();
  if (alarm->has_delivery() && !alarm->has_scheduled_time_us() && !delivery.retry_stopped()) {
    alarm->set_scheduled_time_us(delivery.scheduled_time_us());
    alarm->set_due_time_us(delivery.scheduled_time_us());
    alarm->set_retry_count(delivery.retry_count());
  }
  alarm->clear_delivery();
  alarm->clear_expired_watcher();
}

}  // namespace

absl::Status AddKeys(std::vector<std::pair<std::string, std::string>> keys, ObjectImage* image) {
  for (auto& [key, value] : keys) {
    if (key == kClientAlarmKey) {
      v1::ClientAlarm alarm;
      if (!alarm.ParseFromString(value)) return absl::DataLossError("the record of the alarm is garbled");
      EndDelivery(&alarm);
      image->alarm_us.reset();
      if (!alarm.has_scheduled_time_us()) continue;
      image->alarm_us = alarm.due_time_us();
      value = alarm.SerializeAsString();
    }
    image->keys.emplace_back(std::move(key), std::move(value));
  }
  return absl::OkStatus();
}

std::string EncodeObjectImage(const ObjectImage& image) {
  std::string file(kMagic);
  Append(kVersion, &file);
  AppendText(image.object_class, &file);
  Append(image.schema_version, &file);
  Append(uint8_t{image.alarm_us.has_value()}, &file);
  Append(image.alarm_us.value_or(0), &file);
  Append(uint64_t{image.keys.size()}, &file);
  for (const auto& [key, value] : image.keys) {
    AppendText(key, &file);
    AppendText(value, &file);
  }
  return file + ChecksumOf(file);
}

absl::StatusOr<ObjectImage> DecodeObjectImage(absl::string_view file) {
  if (file.substr(0, kMagic.size()) != kMagic) return absl::InvalidArgumentError("is no file of an object");
  absl::string_view rest = file.substr(kMagic.size());
  uint32_t version;
  const absl::Status damaged = absl::DataLossError("is damaged or incomplete");
  if (!Take(&rest, &version)) return damaged;
  if (version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("is of version ", version, " of the format; this program reads ", kVersion));
  }
  if (rest.size() < kChecksumBytes) return damaged;
  const absl::string_view checked = file.substr(0, file.size() - kChecksumBytes);
  if (ChecksumOf(checked) != file.substr(checked.size())) return damaged;
  rest.remove_suffix(kChecksumBytes);
  ObjectImage image;
  uint8_t has_alarm;
  int64_t alarm_us;
  uint64_t count;
  if (!TakeText(&rest, &image.object_class) || !Take(&rest, &image.schema_version) || !Take(&rest, &has_alarm) ||
      !Take(&rest, &alarm_us) || !Take(&rest, &count)) {
    return damaged;
  }
  if (has_alarm != 0) image.alarm_us = alarm_us;
  for (uint64_t i = 0; i < count; ++i) {
    auto& [key, value] = image.keys.emplace_back();
    if (!TakeText(&rest, &key) || !TakeText(&rest, &value)) return damaged;
    // The header and the alarm are made anew.
    if (key.empty() || key <= kAlarmKey || (i > 0 && key <= image.keys[i - 1].first)) return damaged;
  }
  if (!rest.empty()) return damaged;
  return image;
}

}  // namespace holdfast::storage
