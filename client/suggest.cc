#include "client/suggest.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

constexpr size_t kWordBytesMax = 100;
constexpr size_t kShownMax = 3;
constexpr size_t kPrefixBytesMin = 3;

// Returns the optimal string alignment distance of two words.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string DidYouMean(absl::string_view word, const std::vector<Candidate>& candidates) {
  if (word.empty() || word.size() > kWordBytesMax) return "";
  size_t nearest = std::max<size_t>(1, word.size() / 3);
  std::vector<std::string> shown;
  for (const Candidate& candidate : candidates) {
    const bool begins = word.size() >= kPrefixBytesMin && absl::StartsWith(candidate.word, word);
    size_t distance = Distance(word, candidate.word);
    if (begins) distance = std::min<size_t>(distance, 1);
    // A candidate of as few letters as changes would match any word.
    if (distance > nearest || distance >= candidate.word.size()) continue;
    if (distance < nearest) shown.clear();
    nearest = distance;
    if (shown.size() < kShownMax && std::ranges::find(shown, candidate.shown) == shown.end()) {
      shown.push_back(candidate.shown);
    }
  }
  std::string text;
  for (size_t i = 0; i < shown.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "; did you mean " : i + 1 == shown.size() ? " or " : ", ", shown[i]);
  }
  return text.empty() ? "" : text + "?";
}

}  // namespace holdfast::client
