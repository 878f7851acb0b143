# Runs tests in Python against a server. A script sources this file after it has set `root`, the top of the tree.
fail() { echo "${0##*/}: $*" >&2; exit 1; }

# The first argument is the folder of the tests; the second, which may be empty, is added to PYTHONPATH. The script's
# own arguments follow: HOLDFASTD, the path of the server's program, unless the environment has it, and arguments of
# pytest.
run_pytest() {
  local folder=$1 path=$2 server=${HOLDFASTD:-}
  shift 2
  if [ $# -gt 0 ] && [[ $1 != -* ]]; then
    server=$1
    shift
  fi
  [ -n "$server" ] || fail "which server? Name its program as the first argument, or in HOLDFASTD"
  [ -x "$server" ] || fail "$server is no program"
  server=$(realpath "$server")
  . "$root/tests/clients/python/environment.sh"
  export HOLDFASTD=$server PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$python_client/gen${path:+:$path}
  exec "$python_client/venv/bin/python" -m pytest -p no:cacheprovider --strict-markers -W error::pytest.PytestWarning \
    --rootdir "$folder" "$folder" "$@"
}
