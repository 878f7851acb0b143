#!/usr/bin/env python3
"""deploy/sbom.sh lists what the programs load and what install-deps.sh installs for them. Usage: sbom_test.py ROOT BUILD"""
import json
import pathlib
import re
import subprocess
import sys

root, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
faults = []


def output_of(*command):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True).stdout


def version_of(package):
    return output_of("dpkg-query", "-W", "-f=${Version}\n", package).splitlines()[0]


bill = json.loads(output_of(root / "deploy/sbom.sh", "--json", "--build", build))
if (bill["bomFormat"], bill["specVersion"]) != ("CycloneDX", "1.5"):
    faults.append(f"it is {bill['bomFormat']} {bill['specVersion']}")
listed = {}
for component in bill["components"]:
    listed.setdefault(component["name"], component)
    if not component["version"] or not all(each["license"]["name"] for each in component["licenses"]) or not component["licenses"]:
        faults.append(f"{component['name']} has no version or no license")
if len({component["bom-ref"] for component in bill["components"]}) != len(bill["components"]):
    faults.append("a component is listed twice")


def expect(name, version, *uses):
    component = listed.get(name)
    if component is None:
        faults.append(f"{name} is missing")
    elif component["version"] != version:
        faults.append(f"{name} has version {component['version']}, not {version}")
    elif component["properties"][0]["value"] not in uses:
        faults.append(f"{name} is listed as {component['properties'][0]['value']}, not as {' or '.join(uses)}")


# All packages of install-deps.sh: those of libraries are in the programs, but for those of the tests.
script = (root / "deploy/install-deps.sh").read_text()
packages = re.sub(r"#.*", "", re.search(r"^build_packages=\((.*?)^\)", script, re.M | re.S)[1]).split()
# No header of mimalloc is read: it takes the place of libc's allocator when the server is linked.
unread = ("libgtest-dev", "libgmock-dev", "libmimalloc-dev")
libraries = [name for name in packages if re.fullmatch(r"lib.*-dev", name) and name not in unread]
if len(libraries) < 5:
    faults.append(f"install-deps.sh has only the libraries {libraries}")
for name in packages:
    expect(name, version_of(name), "compiled" if name in libraries else "build", "compiled")

# The libraries that the programs name themselves, and the packages that dpkg lists a file of that name for: both found
# without the script.
needed = set()
for program in ("service/holdfastd", "client/holdfast"):
    names = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", build / program)))
    if "libgrpc++.so.1.51" not in names:
        faults.append(f"{program} does not load gRPC: {names}")
    needed |= names
owners = {library: set() for library in needed}
for files in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
    for library in {path.rpartition("/")[2] for path in files.read_text().splitlines()} & needed:
        owners[library].add(files.stem.split(":")[0])
for library, packages in owners.items():
    if not packages & listed.keys():
        faults.append(f"{library} belongs to {packages}, of which none is listed")
    for package in packages & listed.keys():
        expect(package, version_of(package), "linked")

# Downloads: the source that is compiled says which version it is.
include = re.search(r"^SQLITE_DIR:PATH=(.*)", (build / "CMakeCache.txt").read_text(), re.M)[1]
expect("sqlite", re.search(r'#define SQLITE_VERSION +"(.*)"', (pathlib.Path(include) / "sqlite3.h").read_text())[1], "compiled")
expect("googleapis-common-protos", re.search(r"googleapis-common-protos==([\d.]+)", script)[1], "compiled")
expect("@opentelemetry/otlp-grpc-exporter-base", re.search(r"otlp-grpc-exporter-base@([\d.]+)", script)[1], "compiled")
expect("@bufbuild/buf", re.search(r"@bufbuild/buf@([\d.]+)", (root / "tests/lint/buf.sh").read_text())[1], "tests")
expect("workerd", re.search(r"^workerd_version=(.*)", (root / "tests/differential/run.sh").read_text(), re.M)[1], "tests")
for name, version in re.findall(r"^([\w-]+)==(.*)", (root / "tests/clients/python/requirements.txt").read_text(), re.M):
    if name != "googleapis-common-protos":
        expect(name, version, "tests")
for name, version in re.findall(r"^\t(\S+) (v\S+)", (root / "tests/clients/go/go.mod").read_text(), re.M):
    expect(name, version, "tests")

table = output_of(root / "deploy/sbom.sh", "--build", build).splitlines()
if len(table) != len(bill["components"]) or not any(re.match(r"linked +libgrpc\+\+1\.51 +1\.51\S+ +Apache-2\.0", row) for row in table):
    faults.append("the table has not the rows of the bill of materials:\n" + "\n".join(table))

for fault in faults:
    print(f"sbom: {fault}")
if faults:
    sys.exit(1)
print(f"sbom: {len(bill['components'])} dependencies, as expected")
