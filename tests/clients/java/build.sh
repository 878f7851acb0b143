#!/usr/bin/env bash
# Builds the Java client of this folder, with code generated from proto/, under build/java-client; prints the command
# that runs it. Maven fetches the libraries and the generators, at the versions of pom.xml.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
readonly here root
out=$root/build/java-client

mkdir -p "$out"
(
  flock 9 # two runs at a time would write the same files
  cd "$out"
  inputs=$(cat "$here/pom.xml" "$here"/src/main/java/*.java "$root"/proto/holdfast/v1/*.proto | sha256sum)
  if [ "$(cat stamp 2>/dev/null)" != "$inputs" ]; then
    rm -rf stamp target src
    cp -r "$here/pom.xml" "$here/src" .
    mvn --batch-mode --quiet --no-transfer-progress -Dholdfast.proto="$root/proto" compile
    echo "$inputs" >stamp
  fi
) 9>"$out/lock" >&2
echo "java -cp $out/target/classes:$(cat "$out/target/classpath") Conformance"
