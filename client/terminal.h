// The terminal at the other end of the tool's streams, if there is one.

#ifndef HOLDFAST_CLIENT_TERMINAL_H_
#define HOLDFAST_CLIENT_TERMINAL_H_

#include <cstddef>

namespace holdfast::client {

// The defaults are those of streams that are files or pipes.
struct Terminal {
  bool out = false;      // the output is a terminal
  bool err = false;      // and so are the errors
  bool colours = false;  // a stream that is a terminal gets colours
  size_t columns = 80;   // of the output, if it is a terminal
};

// The narrowest terminal for which tables are laid out.
inline constexpr size_t kTerminalColumnsMin = 40;

// Asks the system about the standard streams. There are no colours if NO_COLOR is set and not empty, or if TERM is
// "dumb" or not set.
Terminal FindTerminal();

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_TERMINAL_H_
