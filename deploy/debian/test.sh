#!/usr/bin/env bash
# The life of the Debian package under a real systemd, in a container of Debian 12 without a network: installed, called,
# killed, configured, upgraded, removed, installed again, purged. Ends with a line PASSED, or exits non-zero.
#
#   test.sh PACKAGE.deb
#
# Needs root. debootstrap makes the system once, in ~/.cache/hf-package; a run works in a copy.
set -euo pipefail

[ $# -eq 1 ] && [ -f "$1" ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
package=$(realpath "$1")
readonly package
readonly cache=${HOLDFAST_PACKAGE_CACHE:-$HOME/.cache/hf-package}
# systemd-analyze's figure, from 0 (no way in) to 10; an ordinary service has 9.6.
readonly exposure_max=2.5
readonly open_files=262144

step() { printf '\n== %s\n' "$*"; }
fail() { echo "test: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "needs root"
missing=()
for name in systemd-container debootstrap; do
  dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

work=$(mktemp -d)
root=$work/root container_pid=''
clean_up() {
  local status=$?
  trap - EXIT
  set +e
  if [ "$status" -ne 0 ] && [ -n "$container_pid" ]; then
    step "FAILED; what systemd says" >&2
    inside systemctl --no-pager --full status holdfast.service >&2
    inside journalctl --no-pager -n 40 >&2
  fi
  if [ -n "$container_pid" ]; then
    inside systemctl poweroff 2>/dev/null
    for _ in $(seq 100); do kill -0 "$container_pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$container_pid" 2>/dev/null
  fi
  rm -rf "$work"
  if [ "$status" -eq 0 ]; then echo "PASSED: the package lives as it should"; else echo "FAILED ($status)"; fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# In the running system.
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --root --wd -- \
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }

make_system() {
  # All that the package needs is part of the system, since the container has no network.
  local depends
  depends=$(dpkg-deb -f "$package" Depends)
  if [ "$(cat "$cache/depends" 2>/dev/null)" = "$depends" ]; then
    echo "$cache is there from a former run"
    return
  fi
  rm -rf "$cache"
  mkdir -p "$cache"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$cache/root" >"$cache/log" 2>&1 ||
    { tail -20 "$cache/log" >&2; fail "debootstrap failed"; }
  DEBIAN_FRONTEND=noninteractive chroot "$cache/root" apt-get satisfy -y -q --no-install-recommends "$depends" >>"$cache/log" 2>&1 ||
    { tail -20 "$cache/log" >&2; fail "the dependencies were not installed"; }
  rm -rf "$cache/root"/var/cache/apt/archives/*.deb
  echo "$depends" >"$cache/depends"
  echo "made $cache/root"
}

boot() {
  local try
  # The hierarchy of the machine's own cgroups; machined may not be there.
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$([ -e /sys/fs/cgroup/cgroup.controllers ] && echo 1 || echo 0) \
    systemd-nspawn --register=no --keep-unit --directory="$root" --private-network --boot </dev/null >"$work/console" 2>&1 &
  container_pid=$!
  for try in $(seq 300); do
    leader=$(pgrep -P "$container_pid" | sed -n 1p) || true
    if [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then return; fi
    kill -0 "$container_pid" 2>/dev/null || break
    sleep 0.2  # only another look tells
  done
  cat "$work/console" >&2
  fail "the system has not started after $try looks"
}

tool() { inside holdfast --timeout 30s "$@"; }
expect_state() { # active or inactive
  [ "$(inside systemctl is-active holdfast.service || true)" = "$1" ] || fail "the service is not $1"
}
# Increments the counter of visits, which must then have this value.
expect_visits() {
  local value
  value=$(tool counter increment visits)
  [ "$value" = "$1" ] || fail "the counter is '$value', not $1"
  echo "visits is $value"
}
main_pid() { inside systemctl show -P MainPID holdfast.service; }

# The same package with a higher version, as the next release would be.
next_version() {
  dpkg-deb -R "$package" "$work/next"
  sed -i 's/^Version: .*/Version: 99.0.0/' "$work/next/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$work/next" "$root/root/next.deb" >/dev/null
}

step "The package"
dpkg-deb -I "$package" | grep -E 'Version|Architecture|Installed-Size|Depends'
dpkg-deb -c "$package" | awk '{print $1, $3, $6}'
# Each page has its name, and what makes it worth reading.
for each in 'man1/holdfast.1 HOLDFAST Subcommands' 'man1/holdfast-counter-increment.1 HOLDFAST-COUNTER-INCREMENT amount' \
  'man1/holdfast-admin-restore-object.1 HOLDFAST-ADMIN-RESTORE-OBJECT replace' 'man8/holdfastd.8 HOLDFASTD SIGHUP'; do
  read -r file name word <<<"$each"
  dpkg-deb --fsys-tarfile "$package" | tar -xO "./usr/share/man/$file.gz" | zcat >"$work/page"
  grep -q "^\.TH $name \"[18]\"" "$work/page" && grep -q "$word" "$work/page" || fail "$file is no page of $name"
done

step "A system"
make_system
cp -a "$cache/root" "$root"
cp "$package" "$root/root/holdfast.deb"
next_version
boot
inside systemctl --version | sed -n 1p

step "dpkg --install"
inside dpkg --install /root/holdfast.deb
expect_state active
inside systemctl is-enabled holdfast.service
tool health
[ "$(tool counter increment visits --amount 41)" = 41 ] || fail "the counter is not 41"
expect_visits 42
process=$(main_pid)
inside stat -c '%U %G %n' "/proc/$process"
[ "$(inside stat -c %U "/proc/$process")" = holdfast ] || fail "the process is not of the user holdfast"
inside stat -c '%U:%G %a %n' /var/lib/holdfast /etc/holdfast/holdfast.textproto
# A container may not raise its own limit: then it is the one that the system was started with.
files=$(inside awk '/^Max open files/ {print $4}' "/proc/$process/limits")
of_system=$(inside awk '/^Max open files/ {print $5}' /proc/1/limits)
echo "it may have $files open files, the system $of_system"
[ "$(inside systemctl show -P LimitNOFILE holdfast.service)" = "$open_files" ] || fail "the unit has another limit"
[ "$files" = "$open_files" ] || [ "$files" = "$of_system" ] || fail "its limit is another one"
grep_status=$(inside grep -E '^(CapEff|NoNewPrivs|Seccomp):' "/proc/$process/status")
echo "$grep_status"
echo "$grep_status" | tr -d '\t ' | grep -qx CapEff:0000000000000000 || fail "the process has capabilities"

step "Completions"
if tool completion bash >/dev/null 2>&1; then
  tool completion bash | cmp - "$root/usr/share/bash-completion/completions/holdfast"
  tool completion zsh | cmp - "$root/usr/share/zsh/vendor-completions/_holdfast"
  bash -n "$root/usr/share/bash-completion/completions/holdfast"
  echo "both are those that the tool prints"
else
  [ ! -e "$root/usr/share/bash-completion/completions/holdfast" ] || fail "they are not of this tool"
  echo "this tool prints none"
fi

step "systemd-analyze security"
inside systemd-analyze verify --man=no /lib/systemd/system/holdfast.service
inside systemd-analyze security --no-pager holdfast.service | grep -vE '^(\+|✓)' || true
exposure=$(inside systemd-analyze security --no-pager holdfast.service | sed -n 's/.*Overall exposure level[^:]*: \([0-9.]*\).*/\1/p')
awk -v is="$exposure" -v most="$exposure_max" 'BEGIN {exit !(is != "" && is < most)}' || fail "the exposure is $exposure, not under $exposure_max"

step "SIGKILL: systemd starts it again"
inside systemctl kill --kill-whom=main --signal=KILL holdfast.service
for _ in $(seq 100); do
  if [ "$(main_pid)" != 0 ] && [ "$(main_pid)" != "$process" ]; then break; fi
  sleep 0.1  # RestartSec
done
expect_visits 43

step "The administrator's configuration, and a reload"
inside sed -i 's/^# metrics /metrics /' /etc/holdfast/holdfast.textproto
inside systemctl restart holdfast.service
expect_visits 44
process=$(main_pid)
inside systemctl reload holdfast.service
[ "$(main_pid)" = "$process" ] || fail "a reload ended the process"
echo 'listen: "nonsense' >"$root/etc/holdfast/bad"
if inside holdfastd --config /etc/holdfast/bad --check-config; then fail "anything is a configuration"; fi
rm "$root/etc/holdfast/bad"

step "Upgrade"
inside dpkg --install /root/next.deb
inside dpkg-query -W holdfast
expect_state active
[ "$(main_pid)" != "$process" ] || fail "the server was not restarted"
inside grep -q '^metrics ' /etc/holdfast/holdfast.textproto || fail "the configuration was replaced"
expect_visits 45

step "Removal keeps data and configuration"
inside dpkg --remove holdfast
expect_state inactive
if inside sh -c 'grep -lx holdfastd /proc/[0-9]*/comm'; then fail "the server still runs"; fi
[ ! -e "$root/usr/bin/holdfastd" ] || fail "the program is still there"
inside ls /var/lib/holdfast /etc/holdfast
inside dpkg --install /root/next.deb
expect_state active
expect_visits 46

step "A disabled service stays disabled at an upgrade"
inside systemctl disable --now holdfast.service
inside dpkg --install /root/next.deb
[ "$(inside systemctl is-enabled holdfast.service || true)" = disabled ] || fail "it was enabled again"
expect_state inactive

step "Purge"
inside dpkg --purge holdfast
left=$(inside find / -xdev -name '*holdfast*' -not -path '/proc/*' -not -path '/var/log/*' -not -path '/root/*' -not -path '/var/lib/dpkg/*')
[ -z "$left" ] || fail "these are left: $left"
inside getent passwd holdfast
if inside journalctl --no-pager -p err -u holdfast.service | grep -v 'No entries' | grep -v 'Main process exited, code=killed'; then
  fail "the journal has errors"
fi
