# Tells which languages have their tool chains on this machine. A script sources this file.

# Returns whether the tools are there that build a client in this language: go, python, typescript, java or cpp.
has_tools_of() {
  case $1 in
    go) command -v go >/dev/null ;;
    typescript) command -v npm >/dev/null && [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -ge 18 ] ;;
    java) command -v javac >/dev/null && command -v mvn >/dev/null ;;
    python | cpp) ;;
    *) fail "unknown language '$1'" ;;
  esac
}

# Returns whether Go is 1.MINOR or later.
go_is_at_least() { # MINOR
  [ "$(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/')" -ge "$1" ]
}
