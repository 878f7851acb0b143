#!/usr/bin/env bash
# Proves deploy/kubernetes and deploy/helm on a real Kubernetes of one node (cluster.sh), under the pod security level
# "restricted": one server that is restarted under load, gets another user id and TLS, and keeps what it has. Ends with a
# line PASSED, or exits non-zero.
#
#   test.sh                        the Kustomize base, its overlays and components
#   test.sh --helm                 the Helm chart: install, upgrade, rollback, uninstall
#   test.sh --cluster              overlays/cluster: three nodes on PostgreSQL, replaced under load
#   test.sh --helm --cluster       the same by the chart
#
#   --binary-dir DIR       packs the binaries of a build tree (DIR/service/holdfastd and DIR/client/holdfast) or of a plain
#                          folder (DIR/holdfastd and DIR/holdfast), where the image is compiled as deploy/Dockerfile says
#                          otherwise
#   --base-image NAME      builds on NAME; otherwise on a Debian 12 that debootstrap makes once, so that no image registry
#                          is needed
#
# Needs root, about 2 GB of disk, and what `cluster.sh install` and tests/deploy/build_tools.sh install (which it calls).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root
readonly namespace=holdfast-test pod=holdfast-0
readonly cluster_dir=${HOLDFAST_CLUSTER_DIR:-/tmp/hf-cluster}
# The group that owns volumes (fsGroup), and a user id such as OpenShift would choose.
readonly volume_group=10001 other_user=1000810000
# Whose schemas the ServiceMonitor, the rules and the Certificate must have.
readonly prometheus_operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
readonly cert_manager=github.com/cert-manager/cert-manager@v1.19.0
# Certificate authorities that this machine trusts beyond Debian's, as behind a company's proxy: pip needs them in the
# build stage too. They are part of the base image, and so of its name.
readonly local_authorities=/usr/local/share/ca-certificates
local_base=localhost/holdfast-base:bookworm-$(cat "$local_authorities"/*.crt 2>/dev/null | sha256sum | cut -c1-12)
readonly local_base
base_image='' binary_dir='' several=false by_helm=false

usage() { sed -n '2,19s/^# \{0,1\}//p' "$0"; }
step() { printf '\n== %s\n' "$*"; }
fail() { echo "test: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --binary-dir) binary_dir=${2:?--binary-dir needs a folder}; shift ;;
    --base-image) base_image=${2:?--base-image needs a name}; shift ;;
    --cluster) several=true ;;
    --helm) by_helm=true ;;
    -h | --help) usage; exit 0 ;;
    *) echo "test: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || fail "needs root"
what=deploy/kubernetes
if $by_helm; then what=deploy/helm; fi
if $several; then what+=", with three nodes,"; fi
if [ -n "$binary_dir" ]; then
  binary_dir=$(cd "$binary_dir" && pwd) || fail "no folder $binary_dir"
fi

work=$(mktemp -d)
client_container='' image_name='' cluster_started=false load_pids=''
cluster() { "$here/cluster.sh" "$@"; }
# Waits for definitions of resources. kubectl gives up at once on one that has no conditions yet.
established() { # RESOURCE...
  for _ in $(seq 60); do
    if cluster kubectl wait --for=condition=Established "$@" --timeout=60s 2>/dev/null; then return; fi
    sleep 1 # only another try tells that there are conditions
  done
  fail "not established: $*"
}
kube() { cluster kubectl -n "$namespace" "$@"; }
# The chart is installed as a user would, from the folder.
helm() { cluster exec "$root/build/tools/deploy/helm" --kubeconfig "$cluster_dir/admin.conf" -n "$namespace" "$@"; }
readonly chart=$root/deploy/helm/holdfast values=$root/deploy/helm/values
# Neither buildah's overlay driver nor its usual isolation works everywhere; these need only root.
image() { buildah --storage-driver vfs "$@"; }

show_what_went_wrong() {
  step "FAILED; what the cluster says"
  local each
  kube get all,pvc 2>&1
  kube get events 2>&1 | tail -20
  for each in $(kube get pods -o name); do
    kube describe "$each" 2>&1 | tail -60
    echo "-- log of $each, and of its container before"
    kube logs "$each" --tail=50 2>&1
    kube logs "$each" --tail=50 --previous 2>&1
  done
}

clean_up() {
  local status=$?
  trap - EXIT
  set +e
  touch "$work/end"  # for what goes on in the background
  if [ "$status" -ne 0 ] && $cluster_started; then show_what_went_wrong >&2; fi
  # The base image stays for the next run.
  [ -z "$client_container" ] || image rm "$client_container" >/dev/null
  [ -z "$image_name" ] || image rmi -f "$image_name" >/dev/null 2>&1
  if $cluster_started; then
    step "Stopping the cluster"
    cluster stop
  fi
  for pid in $load_pids; do kill "$pid" 2>/dev/null; done
  rm -rf "$work"
  if [ "$status" -eq 0 ]; then echo "PASSED: $what works on a real cluster"; else echo "FAILED ($status)"; fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

make_base_image() {
  local container
  if image inspect --type image "$local_base" >/dev/null 2>&1; then
    echo "$local_base is there from a former run"
    return
  fi
  debootstrap --variant=minbase bookworm "$work/debian" >"$work/debootstrap.log" 2>&1 ||
    { tail -20 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
  rm -rf "$work/debian"/var/cache/apt/archives/*.deb "$work/debian"/var/lib/apt/lists/*
  if [ -d "$local_authorities" ]; then
    mkdir -p "$work/debian$local_authorities"
    cp -r "$local_authorities/." "$work/debian$local_authorities/"
  fi
  container=$(image from scratch)
  image add -q "$container" "$work/debian" / >/dev/null
  image config --cmd /bin/bash "$container"
  image commit -q --rm "$container" "$local_base" >/dev/null
  rm -rf "$work/debian"
  echo "made $local_base"
}

build_image() {
  local arguments=(--isolation chroot --build-arg "BASE_IMAGE=$base_image" --ignorefile "$root/deploy/Dockerfile.dockerignore")
  if [ -n "$binary_dir" ]; then
    local name found
    mkdir "$work/binaries"
    for name in service/holdfastd client/holdfast; do
      found=$binary_dir/$name
      [ -e "$found" ] || found=$binary_dir/${name#*/}
      [ -x "$found" ] || fail "neither $binary_dir/$name nor $binary_dir/${name#*/} is a program"
      strip --strip-debug -o "$work/binaries/${name#*/}" "$found"
    done
    if [ -x "$binary_dir/service/holdfastd" ]; then "$root/deploy/sbom.sh" --json --build "$binary_dir" >"$work/binaries/sbom.json"; fi
    arguments+=(--target prebuilt --build-context "binaries=$work/binaries")
  fi
  image build -q --format docker --no-cache --force-rm "${arguments[@]}" -f "$root/deploy/Dockerfile" -t "$image_name" "$root" >"$work/build.log" 2>&1 ||
    { tail -40 "$work/build.log" >&2; fail "the image was not built"; }
}

# The image's own tool, run as a client elsewhere on the node: through the Service, by port-forward.
call() { cluster exec chroot "$client_root" /usr/local/bin/holdfast --server "127.0.0.1:$port" --json "$@"; }

# kubectl's port-forward ends with the pod that it found behind the Service, so each pod gets a new one.
forward() {
  local try
  kube port-forward service/holdfast :50051 >"$work/forward.log" 2>&1 &
  forward_pid=$!
  for try in $(seq 100); do
    port=$(sed -nE 's/^Forwarding from 127\.0\.0\.1:([0-9]+) .*/\1/p' "$work/forward.log")
    if [ -n "$port" ]; then return; fi
    kill -0 "$forward_pid" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/forward.log" >&2
  fail "no port-forward after $try tries"
}
end_forward() {
  kill "$forward_pid" 2>/dev/null || true
  wait "$forward_pid" 2>/dev/null || true
}

# The named number in a reply of --json, which writes an int64 as a string.
number() { tr -d '\n' | sed -nE "s/.*\"$1\": *\"?(-?[0-9]+).*/\1/p"; }

wait_ready() {
  if ! kube rollout status statefulset/holdfast --timeout=120s; then fail "the StatefulSet did not become ready"; fi
  kube wait pod "$pod" --for=condition=Ready --timeout=60s
}

# Waits until a pod that can't start says so: until a container of the pods with a label waits for one of these reasons.
wait_refused() { # label, extended regular expression of reasons
  local try
  for try in $(seq 600); do
    if kube get pods -l "$1" -o 'jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}' 2>/dev/null |
      grep -wE "$2"; then
      return
    fi
    sleep 0.2 # only another look tells
  done
  kube get pods
  fail "no pod of $1 waits for $2 after $try looks"
}

# The process of a pod, on this machine.
pid_of() {
  local pid
  for pid in $(pgrep -x holdfastd); do
    if tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "HOSTNAME=${1#pod/}"; then
      echo "$pid"
      return
    fi
  done
  fail "no process of $1"
}

# The user, the rights and the root file system of the pod's process. There is no shell in the image to look from inside.
check_container() { # user
  local process
  process=$(pid_of "$pod")
  grep -E '^(Uid|Gid|CapEff|NoNewPrivs|Seccomp):' "/proc/$process/status" | tee "$work/status"
  tr -s ' \t' ' ' <"$work/status" >"$work/status.words"
  grep -qx "Uid: $1 $1 $1 $1" "$work/status.words" || fail "the user is not $1"
  grep -qx 'CapEff: 0000000000000000' "$work/status.words" || fail "the process has capabilities"
  grep -qx 'NoNewPrivs: 1' "$work/status.words" || fail "the process may gain privileges"
  grep -qx 'Seccomp: 2' "$work/status.words" || fail "no seccomp filter"
  if touch "/proc/$process/root/usr/local/bin/written" 2>"$work/touch.log"; then fail "the root file system can be written"; fi
  grep -F 'Read-only file system' "$work/touch.log"
}

# Adds one to the counter of visits, through the Service, and fails if it is not then the given value.
expect_visits() { # value
  local reply
  forward
  reply=$(call counter increment visits)
  end_forward
  echo "$reply"
  [ "$(number value <<<"$reply")" = "$1" ] || fail "the counter is not $1"
}

# The resources of operators that the overlays use, of their published modules, so that the API server checks ours.
install_schemas() {
  local folder file
  folder=$(go mod download -json "$prometheus_operator" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  for file in servicemonitors prometheusrules; do
    cluster kubectl apply --server-side -f "$folder/example/prometheus-operator-crd/monitoring.coreos.com_$file.yaml"
  done
  folder=$(go mod download -json "$cert_manager" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  file=$(ls "$folder"/deploy/crds/*_certificates.yaml)
  cluster kubectl apply --server-side -f "$file"
  established --all crd
}

# Has the API server check objects as strictly as it can; a warning, as of the pod security level, is a fault too.
check_objects() { # what; the objects come on standard input
  kube apply --dry-run=server --validate=strict -f - >"$work/dry.log" 2>&1 || { cat "$work/dry.log"; fail "$1 is not valid"; }
  if grep -qi warning "$work/dry.log"; then cat "$work/dry.log"; fail "$1 warns"; fi
  echo "$1: $(grep -c 'server dry run' "$work/dry.log") objects are valid"
}

# shellcheck source=deploy/kubernetes/test-load.sh
. "$here/test-load.sh"

step "What is needed"
cluster install
"$root/tests/deploy/build_tools.sh"

step "The image"
if [ -z "$base_image" ]; then
  make_base_image
  base_image=$local_base
fi
# Under the very name that the base asks for, as containerd spells it out, so that the base is tested unchanged.
image_name=docker.io/library/$(cd "$here" && kubectl kustomize base | sed -nE 's/^ *image: //p')
build_image
image push -q "$image_name" "docker-archive:$work/image.tar:$image_name"
echo "built $image_name: $(du -h "$work/image.tar" | cut -f1)"
client_container=$(image from --pull-never "$image_name")
client_root=$(image mount "$client_container")
if [ -n "$(find "$client_root" -name 'sh' -o -name 'bash' -o -name 'dpkg')" ]; then fail "the image has a shell"; fi
image inspect --type image --format '{{.Docker.Config.Healthcheck.Test}} {{.Docker.Config.User}}{{"\n"}}' "$image_name"

step "The cluster"
cluster_started=true
cluster start
cluster load "$work/image.tar"
cluster kubectl create namespace "$namespace"
cluster kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted \
  pod-security.kubernetes.io/warn=restricted pod-security.kubernetes.io/enforce-version=latest
# The default account is made a moment after its namespace; no pod is admitted before.
kube wait --for=create serviceaccount/default --timeout=60s

step "The namespace refuses a pod that is not restricted"
if kube run loose --image="$image_name" --dry-run=server >"$work/loose.log" 2>&1; then
  fail "a pod without a security context was accepted"
fi
grep -F 'violates PodSecurity "restricted' "$work/loose.log" || { cat "$work/loose.log"; fail "refused for another reason"; }

step "Schemas of $prometheus_operator and $cert_manager"
install_schemas

if $several; then
  # shellcheck source=deploy/kubernetes/overlays/cluster/test-steps.sh
  . "$here/overlays/cluster/test-steps.sh"
  exit
fi
cluster volume holdfast-data "$namespace/data-$pod" 100Gi "$volume_group"
if $by_helm; then
  # shellcheck source=deploy/helm/test-steps.sh
  . "$root/deploy/helm/test-steps.sh"
else
  # shellcheck source=deploy/kubernetes/base/test-steps.sh
  . "$here/base/test-steps.sh"
fi
