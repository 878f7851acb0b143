#!/usr/bin/env bash
# A real single-node Kubernetes on one Linux machine, without Docker: etcd, API server, controllers, scheduler,
# kubelet and containerd in a network namespace of their own. For testing this folder as a user's cluster would run it.
#
#   cluster.sh install            Debian packages and the Kubernetes binaries (built from Go modules, some minutes once)
#   cluster.sh start | stop       start (node Ready), and remove everything again
#   cluster.sh load IMAGE.tar     import a docker-archive (buildah push IMAGE docker-archive:IMAGE.tar:NAME)
#   cluster.sh volume NAME CLAIM_NAMESPACE/CLAIM SIZE GROUP
#                                 make a hostPath PersistentVolume that GROUP may write, kept for that claim
#   cluster.sh kubectl ARGS...    kubectl as cluster admin
#   cluster.sh exec COMMAND...    run a command inside the node's network: pod addresses are reachable from there
#
# Needs root and a Go toolchain of 1.21 or later. What it is not: there is no cluster DNS, no kube-proxy and no volume
# provisioner, so reach pods by address or `kubectl port-forward`; NetworkPolicies are stored but not enforced.
#
# HOLDFAST_CLUSTER_DIR  state of the running cluster, removed by stop   (default /tmp/hf-cluster)
# HOLDFAST_CLUSTER_BIN  the Kubernetes binaries, kept                   (default ~/.cache/hf-cluster/bin)
set -euo pipefail

readonly network=hf-node
readonly dir=${HOLDFAST_CLUSTER_DIR:-/tmp/hf-cluster}
readonly bin=${HOLDFAST_CLUSTER_BIN:-$HOME/.cache/hf-cluster/bin}
readonly kubernetes_version=1.35.0 etcd_version=3.6.5
readonly node_address=172.30.0.1
readonly debian_packages=(
  containerd runc containernetworking-plugins buildah debootstrap conntrack socat iproute2 util-linux openssl gcc
  libc6-dev
)

die() { echo "cluster: $*" >&2; exit 1; }

# nsenter, not `ip netns exec`: the latter remounts /sys and hides the cgroup mounts from the kubelet.
in_network() { nsenter --net="/var/run/netns/$network" "$@"; }
kubectl_admin() { in_network kubectl --kubeconfig "$dir/admin.conf" "$@"; }
run_daemon() { # name, command...
  local name=$1; shift
  (in_network "$@" >"$dir/$name.log" 2>&1 & echo $! >"$dir/$name.pid")
}
wait_for() {
  local try
  for try in $(seq 60); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 1
  done
  die "not so after $try tries: $*; the logs are in $dir"
}
node_is_ready() { kubectl_admin get node node1 | grep -qw Ready; }

# Builds packages in a module of our own, so that the published modules resolve each other.
go_build() { # requirements, packages...
  local work package version_package=k8s.io/component-base/version
  work=$(mktemp -d)
  (
    cd "$work"
    printf 'module build\ngo 1.25.0\n%s\n' "$1" >go.mod
    { printf '//go:build tools\npackage build\n'; printf 'import _ "%s"\n' "${@:2}"; } >tools.go
    go mod tidy
    for package in "${@:2}"; do
      CGO_ENABLED=0 go build -o "$bin/" -ldflags "-s -w -X $version_package.gitVersion=v$kubernetes_version \
        -X $version_package.gitMajor=1 -X $version_package.gitMinor=${kubernetes_version:2:2}" "$package"
    done
  )
  rm -rf "$work"
}

install_all() {
  local package missing=()
  for package in "${debian_packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    echo "cluster: installing ${missing[*]}"
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
  fi
  mkdir -p "$bin"
  PATH=$PATH:$bin
  local program needed=()
  for program in kubectl etcd kubelet kube-apiserver kube-controller-manager kube-scheduler; do
    command -v "$program" >/dev/null || needed+=("$program")
  done
  if [ ${#needed[@]} -eq 0 ]; then return; fi
  command -v go >/dev/null || die "building ${needed[*]} needs a Go toolchain of 1.21 or later"
  echo "cluster: building ${needed[*]} into $bin"
  if [[ " ${needed[*]} " == *" etcd "* ]]; then
    go_build "require go.etcd.io/etcd/server/v3 v$etcd_version" go.etcd.io/etcd/server/v3
    # Go names the program after the last part of the module's path that is no version, or after the version.
    mv "$bin/v3" "$bin/etcd" 2>/dev/null || mv "$bin/server" "$bin/etcd"
  fi
  # k8s.io/kubernetes requires its staging modules as v0.0.0 and replaces them by folders of its own repository;
  # outside of that repository the published ones of the same release take their place.
  local go_mod replacements packages=()
  go_mod=$(go mod download -json "k8s.io/kubernetes@v$kubernetes_version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  replacements=$(sed -nE \
    "s#^[[:space:]]*(k8s\.io/[^ ]+) v0\.0\.0[[:space:]]*(//.*)?\$#replace \1 => \1 v0.${kubernetes_version#1.}#p" \
    "$go_mod" | sort -u)
  for program in "${needed[@]}"; do
    [ "$program" = etcd ] || packages+=("k8s.io/kubernetes/cmd/$program")
  done
  if [ ${#packages[@]} -gt 0 ]; then
    go_build "require k8s.io/kubernetes v$kubernetes_version"$'\n'"$replacements" "${packages[@]}"
  fi
}

write_configuration() {
  cat >"$dir/admin.conf" <<EOF
apiVersion: v1
kind: Config
current-context: admin
clusters:
  - {name: node, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}
users:
  - {name: admin, user: {token: admin-token}}
contexts:
  - {name: admin, context: {cluster: node, user: admin}}
EOF
  echo 'admin-token,admin,1,system:masters' >"$dir/tokens.csv"
  cat >"$dir/cni/10-holdfast.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "holdfast", "plugins": [{
  "type": "ptp", "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "$dir/ipam",
           "ranges": [[{"subnet": "172.31.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
}]}
EOF
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE the score can't be lowered. runc: crun refuses hybrid cgroups.
  cat >"$dir/containerd.toml" <<EOF
version = 2
root = "$dir/containerd"
state = "$dir/containerd-state"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "cluster.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
EOF
  # Nothing here may depend on how the machine's own cgroups, swap and disk are set up.
  cat >"$dir/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
cgroupsPerQOS: false
enforceNodeAllocatable: []
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%"}
containerRuntimeEndpoint: "unix://$dir/containerd.sock"
resolvConf: ""
clusterDNS: [10.96.0.10]
address: $node_address
healthzPort: 0
readOnlyPort: 0
EOF
}

# The container that holds a pod's namespaces. No registry is asked for it, so it is made here.
load_pause_image() {
  local container
  printf 'int pause(void);int main(void){for(;;)pause();}' >"$dir/pause.c"
  gcc -static -O2 -o "$dir/pause" "$dir/pause.c"
  container=$(buildah --storage-driver vfs from scratch)
  buildah --storage-driver vfs copy -q "$container" "$dir/pause" /pause >/dev/null
  buildah --storage-driver vfs config --entrypoint '["/pause"]' "$container"
  buildah --storage-driver vfs commit -q --rm "$container" cluster.test/pause:1 >/dev/null
  buildah --storage-driver vfs push -q cluster.test/pause:1 "docker-archive:$dir/pause.tar:cluster.test/pause:1"
  buildah --storage-driver vfs rmi cluster.test/pause:1 >/dev/null
  load "$dir/pause.tar"
}

start() {
  [ ! -e "$dir" ] || die "$dir exists: a cluster runs already, or one was not stopped ('$0 stop' removes it)"
  [ ! -e "/var/run/netns/$network" ] || die "the network namespace $network exists already"
  mkdir -p "$dir/cni" "$dir/volumes"
  touch "$dir/.hf-cluster"
  ip netns add "$network"
  in_network ip link set lo up
  in_network ip addr add "$node_address/32" dev lo
  openssl genrsa -out "$dir/sa.key" 2048 2>/dev/null
  write_configuration

  run_daemon etcd etcd --data-dir "$dir/etcd" --unsafe-no-fsync
  run_daemon apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --cert-dir="$dir/certs" \
    --bind-address=127.0.0.1 --advertise-address="$node_address" --service-cluster-ip-range=10.96.0.0/24 \
    --service-account-key-file="$dir/sa.key" --service-account-signing-key-file="$dir/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --authorization-mode=Node,RBAC \
    --token-auth-file="$dir/tokens.csv" --kubelet-preferred-address-types=InternalIP
  wait_for kubectl_admin get --raw /readyz
  run_daemon controllers kube-controller-manager --kubeconfig "$dir/admin.conf" --leader-elect=false \
    --service-account-private-key-file="$dir/sa.key" --cert-dir="$dir/certs"
  run_daemon scheduler kube-scheduler --kubeconfig "$dir/admin.conf" --leader-elect=false --cert-dir="$dir/certs"
  run_daemon containerd containerd -c "$dir/containerd.toml"
  wait_for ctr -a "$dir/containerd.sock" version
  load_pause_image
  run_daemon kubelet kubelet --config "$dir/kubelet.yaml" --kubeconfig "$dir/admin.conf" \
    --hostname-override=node1 --node-ip="$node_address" --root-dir="$dir/kubelet" --cert-dir="$dir/certs"
  wait_for node_is_ready
  kubectl_admin get node
}

load() { ctr -a "$dir/containerd.sock" -n k8s.io images import "$1"; }

# claimRef keeps the volume for that one claim. Group and mode are those that fsGroup gives, which does not reach hostPath
# volumes.
volume() { # name, namespace/claim, size, group
  local path=$dir/volumes/$1
  mkdir -p "$path"
  chown "0:$4" "$path"
  chmod 2770 "$path"
  kubectl_admin apply -f - <<EOF
apiVersion: v1
kind: PersistentVolume
metadata: {name: "$1"}
spec:
  capacity: {storage: "$3"}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: "${2%%/*}", name: "${2#*/}"}
  hostPath: {path: "$path", type: Directory}
EOF
}

in_network_pids() { ip netns pids "$network" 2>/dev/null || true; }

# Ends a daemon, with some time to do it in order. Only what runs in our network namespace is ended, whatever the pid
# files say: a pid may belong to another by now.
end_daemon() { # name
  local pid try
  pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 0
  for try in $(seq 50); do
    in_network_pids | grep -qx "$pid" || return 0
    [ "$try" -gt 1 ] || kill "$pid" 2>/dev/null || true
    sleep 0.1
  done
}

stop() {
  local name pid signal
  if [ -e "$dir" ] && [ ! -e "$dir/.hf-cluster" ]; then die "$dir is not of a cluster started here"; fi
  if [ -e "$dir/admin.conf" ]; then
    kubectl_admin delete statefulsets,deployments,jobs --all -A --wait=false >/dev/null 2>&1 || true
    kubectl_admin delete pods --all -A --grace-period=1 --wait=true --timeout=60s >/dev/null 2>&1 || true
  fi
  for name in kubelet containerd scheduler controllers apiserver etcd; do end_daemon "$name"; done
  # These are left: the containers' shims, port-forwards, and a daemon that did not end in time.
  for signal in TERM KILL; do
    for pid in $(in_network_pids); do kill -"$signal" "$pid" 2>/dev/null || true; done
    for _ in $(seq 20); do
      [ -n "$(in_network_pids)" ] || break
      sleep 0.1
    done
  done
  awk -v prefix="$dir/" 'index($2, prefix) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l || true
  ip netns del "$network" 2>/dev/null || true
  rm -rf "$dir"
}

command=${1:-}
case $command in
  install | start | stop | load | volume | kubectl | exec) shift ;;
  *) sed -n '2,18s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
[ "$(id -u)" -eq 0 ] || die "needs root"
PATH=$PATH:$bin
case $command in
  install) install_all ;;
  start | stop) "$command" ;;
  load) load "$1" ;;
  volume) volume "$@" ;;
  kubectl) kubectl_admin "$@" ;;
  exec) in_network "$@" ;;
esac
