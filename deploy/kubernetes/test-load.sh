# A load of several clients on the pods of a namespace, for test.sh and the steps that it runs: each client increments a
# counter of its own, with an id for each increment, and tries it again until it is answered. Sourced by test.sh, whose
# functions it uses. There is no kube-proxy, so the load calls pods by their addresses: those that Kubernetes calls ready.

readonly workers=3
# A call may find a pod that has just gone; then another one is asked.
readonly call_timeout=5s

now_ms() { date +%s%3N; }
ready_addresses() {
  kube get endpointslices -l kubernetes.io/service-name=holdfast \
    -o 'jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}{.addresses[0]}{"\n"}{end}'
}
# As kube-proxy does: a file with the addresses that get new connections.
follow_endpoints() {
  while true; do
    ready_addresses >"$work/addresses.new" 2>/dev/null && mv "$work/addresses.new" "$work/addresses"
    sleep 0.2  # the addresses change as pods come and go
  done
}
# One client: increments a counter of its own, and writes a line for each: the time, the value, the tries and the
# milliseconds. Each increment is tried with its id at one ready pod after the other until it is answered.
increment_for_ever() { # worker
  local count=0 sent address reply value tries
  while [ ! -e "$work/end" ]; do
    count=$((count + 1)) tries=0 value=''
    sent=$(now_ms)
    while [ -z "$value" ] && [ $(($(now_ms) - sent)) -lt $((4 * outage_ms_max)) ]; do
      tries=$((tries + 1))
      address=$(shuf -n 1 "$work/addresses")
      if [ -z "$address" ]; then sleep 0.1; continue; fi  # until a pod is ready
      if reply=$(cluster exec chroot "$client_root" /usr/local/bin/holdfast --server "$address:50051" --json --retries 0 \
        --timeout "$call_timeout" --request-id "load-$1-$count" counter increment "load-$1" 2>&1); then
        value=$(number value <<<"$reply")
      else
        echo "$(date +%T.%3N) worker $1: $address: $reply" >>"$work/errors"
        sleep 0.05  # as a client waits before another try
      fi
    done
    echo "$(now_ms) ${value:-none} $tries $(($(now_ms) - sent))" >>"$work/load-$1"
  done
}
start_load() {
  local worker
  ready_addresses >"$work/addresses"
  : >"$work/errors"
  follow_endpoints &
  load_pids=$!
  for worker in $(seq $workers); do
    increment_for_ever "$worker" &
    load_pids+=" $!"
  done
}
# Says what has happened to the load since a moment, which must be over.
tell_load() { # since ms, what, longest ms that it may have taken
  local longest total again
  longest=$(awk -v since="$1" '$1 >= since && $4 > most {most = $4} END {print most + 0}' "$work"/load-[0-9]*)
  total=$(awk -v since="$1" '$1 >= since {n++} END {print n + 0}' "$work"/load-[0-9]*)
  again=$(awk -v since="$1" '$1 >= since {n += $3 - 1} END {print n + 0}' "$work"/load-[0-9]*)
  echo "$2: $total increments, $again calls sent again, the longest increment took $longest ms"
  [ "$total" -gt 0 ] || fail "there was no load"
  [ "$longest" -le "$3" ] || fail "an increment took $longest ms"
}
end_load() {
  local worker pid first
  touch "$work/end"
  first=${load_pids%% *}
  for pid in ${load_pids#* }; do wait "$pid" || fail "a client of the load has failed"; done
  kill "$first" 2>/dev/null || true
  wait "$first" 2>/dev/null || true
  load_pids=''
  for worker in $(seq $workers); do
    # Nobody else increments this counter, so that the values are 1, 2, 3 and so on.
    awk '{print $2}' "$work/load-$worker" | diff - <(seq "$(wc -l <"$work/load-$worker")") >"$work/values.diff" ||
      { head -5 "$work/values.diff"; fail "a value was lost or came twice to worker $worker"; }
    echo "worker $worker: $(wc -l <"$work/load-$worker") increments with as many values, none twice, none left out"
  done
}
