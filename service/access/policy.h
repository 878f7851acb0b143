// Who may do what: the rules of `authorization` in the configuration.
//
// A rule allows its verbs to the principals, in the namespaces and on the object classes that its patterns match. What
// no rule allows is refused, and no verb implies another. In a pattern `*` stands for any number of characters and `?`
// for one; a pattern is compared with the whole name, and one that is left out matches any.
//
// Threading: a policy and the rights that it gives never change, so any thread may ask them.

#ifndef HOLDFAST_SERVICE_ACCESS_POLICY_H_
#define HOLDFAST_SERVICE_ACCESS_POLICY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "holdfast/config/v1/config.pb.h"

namespace holdfast::service {

// The verb says what a method is to a permission: a rule allows a verb on the objects of a class in a namespace. The
// row of each method has one (service/rpcs).
//
//   kRead    changes nothing: GetX, BatchGetX, ListX, DescribeObject, ExportSql; reflection
//   kWrite   can change an object or its alarm: Increment, PutEntries, ImportSql, MigrateSchema, DeleteAll, Cleanup ...
//   kAdmin   is for those who run the server
//
// A method has one verb, that of the most it can do. Therefore these are writes: CheckLimit also with `peek`;
// WatchAlarms, which takes a lease of each alarm that it delivers; and PassivateObject, which unloads an object that
// others use. ExecuteSql is a write unless its request says `read_only`, and is held to that.
enum class Verb { kRead, kWrite, kAdmin };

// Returns "READ", "WRITE" or "ADMIN".
absl::string_view VerbName(Verb verb);

// Returns whether the pattern matches the whole text.
bool MatchesPattern(absl::string_view pattern, absl::string_view text);

// The rules that apply to one principal.
class Rights {
 public:
  // Allows the verb on objects of this class in this namespace.
  bool OnObject(Verb verb, absl::string_view ns, absl::string_view object_class) const;
  // Allows the verb on objects of some class in this namespace.
  bool InNamespace(Verb verb, absl::string_view ns) const;
  // Allows the verb on something.
  bool OnAnything(Verb verb) const;
  // Allows the verb on everything: what a method needs that is for no object.
  bool OnEverything(Verb verb) const;

 private:
  friend class Policy;
  struct Rule {
    std::string principal;
    std::string ns;            // "*": any
    std::string object_class;  // "*": any
    uint8_t verbs;             // a bit for each
    bool Has(Verb verb) const { return (verbs >> static_cast<int>(verb) & 1) != 0; }
  };
  std::vector<Rule> rules_;
};

class Policy {
 public:
  static constexpr int kRulesMax = 1000;
  static constexpr size_t kPatternBytesMax = 256;

  // A policy without rules allows nothing.
  Policy() = default;
  // INVALID_ARGUMENT names the rule, as "authorization.rule[3]", and the field.
  static absl::StatusOr<Policy> Compile(const config::v1::AuthorizationConfig& authorization);

  Rights RightsOf(absl::string_view principal) const;

 private:
  std::vector<Rights::Rule> rules_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_POLICY_H_
