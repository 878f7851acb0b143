// The files of the console, which are part of the program. The console is a page that calls the public RPCs under the
// user's own token; docs/console.md says what it shows. It needs no right of the server, so these files are for
// anybody.
//
// The files hold no script or style inside of HTML, and ask nothing of other hosts, so they work under a policy that
// allows scripts, styles and connections of the same origin only.
//
// Threading: any thread. The files are constants.

#ifndef HOLDFAST_SERVICE_CONSOLE_CONSOLE_FILES_H_
#define HOLDFAST_SERVICE_CONSOLE_CONSOLE_FILES_H_

#include <span>
#include <string_view>

namespace holdfast::service {

struct ConsoleFile {
  std::string_view path;  // "/", "/console/main.js"
  std::string_view content_type;
  std::string_view body;
  std::string_view etag;     // a hash of the body, with its quotation marks
  bool for_readers = false;  // only those who may READ anything get it, as with reflection; anybody gets the others
};

// Returns all files.
std::span<const ConsoleFile> ConsoleFiles();

// Returns the file with this path, which has no query; null if there is none.
const ConsoleFile* FindConsoleFile(std::string_view path);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CONSOLE_CONSOLE_FILES_H_
