// Finds what a mistyped word was meant to be.

#ifndef HOLDFAST_CLIENT_SUGGEST_H_
#define HOLDFAST_CLIENT_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::client {

// A word that could be meant. `shown` is how a suggestion names it, e.g. "object alarm get" for the word "get".
struct Candidate {
  std::string word;
  std::string shown;
};

// "; did you mean --limit?" with up to three candidates that are equally near, in their order; empty where none is
// near. Near is: the same word; one that begins with the mistyped one, of at least 3 bytes; or one that becomes it by
// one insertion, deletion, replacement or swap of neighbours for each three bytes, and at least by one. Words of over
// 100 bytes are near to nothing.
std::string DidYouMean(absl::string_view word, const std::vector<Candidate>& candidates);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SUGGEST_H_
