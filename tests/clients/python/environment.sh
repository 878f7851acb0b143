# Provides the virtual environment and the generated code of the clients in Python, under build/python-client. They are
# made anew when requirements.txt, the Python or the contract has changed. A script sources this file after it has set
# `root` (the top of the tree) and `fail` (a function that ends the script with a message). Sets `python_client`, the
# folder of both.
python_client=$root/build/python-client
readonly python_client

python3 -c 'import venv, ensurepip' 2>/dev/null || fail "python3 -m venv does not work: deploy/install-deps.sh --tools"

# Runs a step unless the stamp says that the step was done for the same inputs.
unless_done() { # stamp, inputs, command...
  local stamp=$python_client/$1 inputs=$2
  shift 2
  if [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ]; then return; fi
  rm -f "$stamp"
  "$@"
  echo "$inputs" >"$stamp"
}

make_environment() {
  echo "${0##*/}: making the virtual environment"
  rm -rf "$python_client/venv"
  python3 -m venv "$python_client/venv"
  "$python_client/venv/bin/pip" install --quiet --disable-pip-version-check -r "$root/tests/clients/python/requirements.txt"
}

generate_code() {
  echo "${0##*/}: generating code from proto/"
  rm -rf "$python_client/gen"
  mkdir -p "$python_client/gen"
  "$python_client/venv/bin/python" -m grpc_tools.protoc -I "$root/proto" --python_out="$python_client/gen" \
    --grpc_python_out="$python_client/gen" "$root"/proto/holdfast/v1/*.proto
}

mkdir -p "$python_client"
(
  flock 9 # two runs at a time would write the same files
  unless_done venv.stamp "$(python3 -c 'import sys; print(sys.prefix, sys.version)' | cat - "$root/tests/clients/python/requirements.txt" |
    sha256sum)" make_environment
  unless_done gen.stamp "$(cat "$python_client/venv.stamp" "$root"/proto/holdfast/v1/*.proto | sha256sum)" generate_code
) 9>"$python_client/lock"
