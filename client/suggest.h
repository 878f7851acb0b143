// Suggests words for a mistyped one.

#ifndef HOLDFAST_CLIENT_SUGGEST_H_
#define HOLDFAST_CLIENT_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::client {

// A word that could be meant. `shown` is its name in a suggestion, e.g. "object alarm get" for the word "get".
struct Candidate {
  std::string word;
  std::string shown;
};

// Returns "; did you mean --limit?" with up to three candidates that are equally near, in their order; empty if none is
// near. These are near: the same word; a word that begins with the mistyped one, of at least 3 bytes; a word that
// becomes it by at most one insertion, deletion, replacement or swap of neighbours for each three bytes, and one in any
// case. Words of over 100 bytes are near to nothing.
std::string DidYouMean(absl::string_view word, const std::vector<Candidate>& candidates);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SUGGEST_H_
