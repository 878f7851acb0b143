#include "actors/objects/attributes.h"

#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "actors/wire/entry.h"
#include "actors/wire/errors.h"

namespace holdfast::actors {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// The name of a value is cut at this length, since its keys may have any length.
constexpr size_t kPathBytesMax = 300;

struct Problem {
  std::string path;  // the path from the checked value to the wrong one
  std::string what;
};

std::optional<Problem> FindProblem(const Struct& attributes, int nesting);

std::optional<Problem> FindProblem(const Value& value, int nesting) {
  switch (value.kind_case()) {
    case Value::KIND_NOT_SET:
      return Problem{"", "has no kind"};
    case Value::kNumberValue:
      if (!std::isfinite(value.number_value())) return Problem{"", "is no finite number"};
      return std::nullopt;
    case Value::kStructValue:
    case Value::kListValue:
      break;
    default:
      return std::nullopt;
  }
  if (nesting == kAttributeNestingMax) {
    return Problem{"", absl::StrCat("nests more than ", kAttributeNestingMax, " structs and lists")};
  }
  if (value.has_struct_value()) return FindProblem(value.struct_value(), nesting + 1);
  const auto& values = value.list_value().values();
  for (int i = 0; i < values.size(); ++i) {
    if (auto problem = FindProblem(values[i], nesting + 1)) {
      problem->path = absl::StrCat("[", i, "]", problem->path);
      return problem;
    }
  }
  return std::nullopt;
}

// `nesting` counts the structs and lists that the values are in, without the attributes themselves.
std::optional<Problem> FindProblem(const Struct& attributes, int nesting) {
  for (const auto& [key, value] : attributes.fields()) {
    if (auto problem = FindProblem(value, nesting)) {
      problem->path = absl::StrCat("[", KeyForPeople(key), "]", problem->path);
      return problem;
    }
  }
  return std::nullopt;
}

}  // namespace

absl::Status CheckAttributes(const Struct& attributes, absl::string_view field) {
  auto problem = FindProblem(attributes, 0);
  if (!problem) return absl::OkStatus();
  std::string& path = problem->path;
  if (path.size() > kPathBytesMax) path = absl::StrCat(path.substr(0, kPathBytesMax), "...");
  return InvalidField(absl::StrCat(field, path), problem->what);
}

}  // namespace holdfast::actors
