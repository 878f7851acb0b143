#!/usr/bin/env bash
# Proves deploy/kubernetes on a real Kubernetes of one node (cluster.sh): the image, the base under the pod security
# level "restricted", the probes, and that a value outlives its pod. Ends with a line PASSED, or exits non-zero.
#
#   test.sh                        builds the image as deploy/Dockerfile says, compiling included
#   test.sh --binary-dir DIR       packs the binaries of a build tree (DIR/service/holdfastd and DIR/client/holdfast)
#                                  or of a plain folder (DIR/holdfastd and DIR/holdfast) instead
#   test.sh --base-image NAME      builds on NAME; otherwise on a Debian 12 that debootstrap makes once, so that no
#                                  image registry is needed
#
#   test.sh --cluster              proves overlays/cluster instead: three nodes on PostgreSQL, replaced under load
#
# Needs root, about 2 GB of disk, and what `cluster.sh install` installs (which it calls).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root
readonly namespace=holdfast-test pod=holdfast-0
# Certificate authorities that this machine trusts beyond Debian's, as behind a company's proxy: pip needs them in the
# build stage too. They are part of the base image, and so of its name.
readonly local_authorities=/usr/local/share/ca-certificates
local_base=localhost/holdfast-base:bookworm-$(cat "$local_authorities"/*.crt 2>/dev/null | sha256sum | cut -c1-12)
readonly local_base
base_image='' binary_dir='' several=false

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0"; }
step() { printf '\n== %s\n' "$*"; }
fail() { echo "test: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --binary-dir) binary_dir=${2:?--binary-dir needs a folder}; shift ;;
    --base-image) base_image=${2:?--base-image needs a name}; shift ;;
    --cluster) several=true ;;
    -h | --help) usage; exit 0 ;;
    *) echo "test: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || fail "needs root"
if [ -n "$binary_dir" ]; then
  binary_dir=$(cd "$binary_dir" && pwd) || fail "no folder $binary_dir"
fi

work=$(mktemp -d)
client_container='' image_name='' cluster_started=false load_pids=''
cluster() { "$here/cluster.sh" "$@"; }
kube() { cluster kubectl -n "$namespace" "$@"; }
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
  if [ "$status" -eq 0 ]; then echo "PASSED: deploy/kubernetes works on a real cluster"; else echo "FAILED ($status)"; fi
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
    arguments+=(--target prebuilt --build-context "binaries=$work/binaries")
  fi
  image build -q --no-cache --force-rm "${arguments[@]}" -f "$root/deploy/Dockerfile" -t "$image_name" "$root" >"$work/build.log" 2>&1 ||
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

step "What is needed"
cluster install
echo "all there"

step "The image"
if [ -z "$base_image" ]; then
  make_base_image
  base_image=$local_base
fi
# Under the very name that the base asks for, as containerd spells it out, so that the base is tested unchanged.
image_name=docker.io/library/$(cd "$here" && kubectl kustomize . | sed -nE 's/^ *image: //p')
build_image
image push -q "$image_name" "docker-archive:$work/image.tar:$image_name"
echo "built $image_name: $(du -h "$work/image.tar" | cut -f1)"
client_container=$(image from --pull-never "$image_name")
client_root=$(image mount "$client_container")

step "The cluster"
cluster_started=true
cluster start
cluster load "$work/image.tar"
cluster kubectl create namespace "$namespace"
cluster kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted \
  pod-security.kubernetes.io/enforce-version=latest
# The default account is made a moment after its namespace; no pod is admitted before.
kube wait --for=create serviceaccount/default --timeout=60s

step "The namespace refuses a pod that is not restricted"
if kube run loose --image="$image_name" --dry-run=server >"$work/loose.log" 2>&1; then
  fail "a pod without a security context was accepted"
fi
grep -F 'violates PodSecurity "restricted' "$work/loose.log" || { cat "$work/loose.log"; fail "refused for another reason"; }

if $several; then
  # shellcheck source=deploy/kubernetes/overlays/cluster/test-steps.sh
  . "$here/overlays/cluster/test-steps.sh"
  exit
fi

step "kubectl apply -k deploy/kubernetes"
cluster volume holdfast-data "$namespace/data-$pod" 10Gi 10001
kube apply -k "$here" --dry-run=server
kube apply -k "$here" 2>&1 | tee "$work/apply.log"
if grep -qi warning "$work/apply.log"; then fail "applying the base warns"; fi
wait_ready
kube get pods,pvc,services -o wide
first_uid=$(kube get pod "$pod" -o 'jsonpath={.metadata.uid}')

step "The container"
kube exec "$pod" -- id -u | tee "$work/uid"
[ "$(cat "$work/uid")" = 10001 ] || fail "not the user 10001"
if kube exec "$pod" -- touch /usr/local/bin/written 2>"$work/touch.log"; then fail "the root file system can be written"; fi
grep -F 'Read-only file system' "$work/touch.log"
kube exec "$pod" -- grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/1/status | tee "$work/status"
tr -d ' \t' <"$work/status" | grep -qx 'CapEff:0000000000000000' || fail "the process has capabilities"
tr -d ' \t' <"$work/status" | grep -qx 'NoNewPrivs:1' || fail "the process may gain privileges"
tr -d ' \t' <"$work/status" | grep -qx 'Seccomp:2' || fail "no seccomp filter"

step "Calls through the Service"
forward
call health
call counter increment visits --amount 41
reply=$(call counter increment visits)
echo "$reply"
written=$(number value <<<"$reply")
end_forward
[ "$written" = 42 ] || fail "the counter is '$written', not 42"

step "Deleting the pod"
kube logs -f "$pod" >"$work/first-pod.log" 2>&1 &
logs_pid=$!
kube get pod "$pod" --watch -o 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}{"\n"}' \
  >"$work/exit-codes" 2>/dev/null &
watch_pid=$!
kube delete pod "$pod" --timeout=60s
wait "$logs_pid" || true
kill "$watch_pid" 2>/dev/null || true
echo "-- the last lines of its log"
tail -5 "$work/first-pod.log"
exit_code=$(grep -m 1 . "$work/exit-codes" || true)
echo "-- its exit status: ${exit_code:-never seen}"
[ "$exit_code" = 0 ] || fail "the server did not end in order"
wait_ready
second_uid=$(kube get pod "$pod" -o 'jsonpath={.metadata.uid}')
[ "$first_uid" != "$second_uid" ] || fail "it is still the old pod"
echo "pod $first_uid is gone, $second_uid serves"
restarts=$(kube get pod "$pod" -o 'jsonpath={.status.containerStatuses[0].restartCount}')
[ "$restarts" = 0 ] || fail "the new container was restarted $restarts times"

step "The new pod has the value"
forward
reply=$(call counter get visits)
echo "$reply"
found=$(number value <<<"$reply")
reply=$(call counter increment visits)
echo "$reply"
after=$(number value <<<"$reply")
end_forward
[ "$found" = 42 ] || fail "the counter is '$found', not 42"
[ "$after" = 43 ] || fail "one more makes '$after', not 43"
