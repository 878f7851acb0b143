#!/usr/bin/env bash
# Installs the peers that npm has, workerd and Restate, at pinned versions into build/tools. Changes nothing when
# nothing is missing. Redis is Debian's package redis-server.
#
#   install.sh
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
readonly here root

fail() { echo "install.sh: $*" >&2; exit 1; }

# Restate's packages send statistics unless these variables tell them not to.
export DO_NOT_TRACK=1 SCARF_ANALYTICS=false

# install DIRECTORY VERSION PROGRAM ARGUMENTS...   runs npm install there unless that version's program is there already
install() {
  local tools=$root/build/tools/$1 version=$2 program=$3
  shift 3
  mkdir -p "$tools"
  (
    flock 9 # two runs at a time would write the same files
    if [ "$(cat "$tools/version" 2>/dev/null)" = "$version" ] && [ -x "$tools/$program" ]; then exit 0; fi
    command -v npm >/dev/null || fail "npm is needed to install $version into $tools, and there is none"
    echo "install.sh: installing $version into $tools"
    npm install --prefix "$tools" --no-audit --no-fund --loglevel=error --save-exact "$@" ||
      fail "npm could not install $version"
    [ -x "$tools/$program" ] || fail "npm installed no $tools/$program"
    echo "$version" >"$tools/version"
  ) 9>"$tools/lock"
}

# tests/differential shares the directory, so there is one version for both.
workerd=$(sed -n 's/^workerd_version=//p' "$root/tests/differential/run.sh")
[ -n "$workerd" ] || fail "tests/differential/run.sh names no workerd_version"
install workerd "$workerd" node_modules/workerd/bin/workerd "workerd@$workerd"

case $(uname -m) in
  x86_64) machine=x64 ;;
  aarch64) machine=arm64 ;;
  *) fail "there is no Restate for $(uname -m)" ;;
esac
# Scripts are off: Restate's scripts only report the installation.
mapfile -t restate < <(sed -n 's/^ *"\(@restatedev[^"]*\)": "\([^"]*\)".*/\1@\2/p' "$here/restate/package.json")
[ ${#restate[@]} -eq 2 ] || fail "$here/restate/package.json names no versions"
restate_server=node_modules/@restatedev/restate-server-linux-$machine/bin/restate-server
install restate "${restate[*]}" "$restate_server" --ignore-scripts "${restate[@]}"
ln -sfn "$restate_server" "$root/build/tools/restate/restate-server"
