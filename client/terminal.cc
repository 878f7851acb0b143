#include "client/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "client/environment.h"

namespace holdfast::client {

Terminal FindTerminal() {
  Terminal terminal;
  terminal.out = isatty(STDOUT_FILENO) == 1;
  terminal.err = isatty(STDERR_FILENO) == 1;
  terminal.colours = Variable("NO_COLOR").empty() && !Variable("TERM").empty() && Variable("TERM") != "dumb";
  winsize size = {};
  if (terminal.out && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = std::max<size_t>(size.ws_col, kTerminalColumnsMin);
  }
  return terminal;
}

}  // namespace holdfast::client
