# The part of ../../test.sh --cluster that proves this folder: three nodes on a PostgreSQL, under a loop of increments with
# ids, while all nodes are replaced, one is killed, and the database is away. Sourced by test.sh, whose functions it uses.
#
# PostgreSQL is Debian's, on the machine beside the pods, with TLS and a password as the overlay has it. There is no
# kube-proxy, so the load calls pods by their addresses: those that Kubernetes calls ready.

readonly database_address=172.30.0.1 workers=3 lease_ms=5000
readonly postgres=/usr/lib/postgresql/15/bin overlay=$here/overlays/cluster
# The version of the operator whose schema cloudnativepg.yaml is checked against.
readonly operator=github.com/cloudnative-pg/cloudnative-pg operator_version=v1.27.0
# A call may find a pod that has just gone; then another one is asked.
readonly call_timeout=5s
# The most time that an increment may take, tries included. After a kill the lease has to end.
readonly outage_ms_max=$((lease_ms + 10000))

now_ms() { date +%s%3N; }
sql() { as_postgres psql -h "$work/postgres" -d holdfast -Atc "$1"; }
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

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

end_database() {
  # The process that was started here is the one that runs PostgreSQL in the network of the node.
  kill -INT "$(head -1 "$work/postgres/data/postmaster.pid")"
  wait "$database_pid" || true
}
start_database() {
  local try
  cluster exec setpriv --reuid=postgres --regid=postgres --clear-groups "$postgres/postgres" -D "$work/postgres/data" \
    -c listen_addresses="$database_address" -c unix_socket_directories="$work/postgres" \
    -c ssl=on -c ssl_cert_file="$work/postgres/server.crt" -c ssl_key_file="$work/postgres/server.key" \
    >>"$work/postgres.log" 2>&1 &
  database_pid=$!
  for try in $(seq 100); do
    if as_postgres psql -h "$work/postgres" -d postgres -Atc 'SELECT 1' >/dev/null 2>&1; then return; fi
    sleep 0.1  # only another try tells that it takes connections
  done
  cat "$work/postgres.log" >&2
  fail "PostgreSQL does not start after $try tries"
}
make_database() {
  local subject=/CN=holdfast-db
  [ -x "$postgres/initdb" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql-15
  chmod 711 "$work"
  mkdir "$work/postgres"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "$subject-ca" \
    -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
    -keyout "$work/postgres/server.key" -out "$work/server.csr" 2>/dev/null
  openssl x509 -req -in "$work/server.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=IP:$database_address") -out "$work/postgres/server.crt" 2>/dev/null
  chmod 600 "$work/postgres/server.key"
  chown -R postgres "$work/postgres"
  as_postgres "$postgres/initdb" -D "$work/postgres/data" -A trust --no-locale -E UTF8 >"$work/initdb.log"
  echo 'hostssl all all 172.31.0.0/24 scram-sha-256' >>"$work/postgres/data/pg_hba.conf"
  start_database
  as_postgres psql -h "$work/postgres" -d postgres -q -c "CREATE ROLE holdfast LOGIN PASSWORD '$password'" \
    -c 'CREATE DATABASE holdfast OWNER holdfast'
}

# Checks the example against the schema of the operator, in the API server. Nothing runs it here.
check_database_example() {
  local folder
  folder=$(go mod download -json "$operator@$operator_version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  cluster kubectl apply --server-side -f "$folder/config/crd/bases/postgresql.cnpg.io_clusters.yaml"
  cluster kubectl wait --for=condition=Established crd/clusters.postgresql.cnpg.io --timeout=60s
  kube apply --dry-run=server --validate=strict -f "$overlay/cloudnativepg.yaml"
  sed 's/dataDurability: required/dataDurability: sometimes/' "$overlay/cloudnativepg.yaml" >"$work/bad.yaml"
  if kube apply --dry-run=server --validate=strict -f "$work/bad.yaml" >"$work/bad.log" 2>&1; then
    fail "the schema takes anything"
  fi
}

# The overlay, but for where its database is.
make_overlay() {
  mkdir "$work/overlay"
  sed "s/host=holdfast-db-rw/host=$database_address/" "$overlay/holdfast.textproto" >"$work/overlay/holdfast.textproto"
  grep -q "host=$database_address" "$work/overlay/holdfast.textproto" || fail "the conninfo was not found"
  cat >"$work/overlay/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: ["$(realpath --relative-to="$work/overlay" "$overlay")"]
configMapGenerator:
  - {name: holdfast-config, behavior: replace, files: [holdfast.textproto]}
EOF
}

shards_of_nodes() {
  sql 'SELECT w.node, count(*) FROM hf_shard s JOIN hf_writer w ON w.id = s.writer GROUP BY 1 ORDER BY 1'
}
wait_shared() { # what else must be gone or be there is in the map
  local try
  for try in $(seq 300); do
    if [ "$(shards_of_nodes | wc -l)" = 3 ] && ! shards_of_nodes | grep -qvE '\|8[56]$'; then return; fi
    sleep 0.2  # only looking again tells
  done
  shards_of_nodes
  fail "the shards are not shared equally after $try looks"
}
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
wait_replaced() {
  kube rollout status deployment/holdfast --timeout=300s || fail "the nodes were not replaced"
}
restarts() { kube get pods -l app.kubernetes.io/name=holdfast -o 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'; }

password=$(openssl rand -hex 16)
step "A database on the machine"
make_database
sql 'SELECT version()'

step "The example for CloudNativePG has the schema of its operator $operator_version"
check_database_example

step "kubectl apply -k deploy/kubernetes/overlays/cluster"
kube create secret generic holdfast-cluster --from-literal=secret="$(openssl rand -hex 32)"
kube create secret generic holdfast-db-app --from-literal=password="$password"
kube create secret generic holdfast-db-ca --from-file=ca.crt="$work/ca.crt"
make_overlay
kube apply -k "$work/overlay" --dry-run=server
kube apply -k "$work/overlay" 2>&1 | tee "$work/apply.log"
if grep -qi warning "$work/apply.log"; then fail "applying the overlay warns"; fi
kube wait job/holdfast-init-cluster --for=condition=Complete --timeout=120s
wait_replaced
kube get pods,services,poddisruptionbudgets -o wide
wait_shared
echo "-- shards of each node"
shards_of_nodes

step "A load of $workers clients, each with a counter of its own"
start_load
sleep 5  # the load works meanwhile

step "A rolling update"
before=$(kube get pods -l app.kubernetes.io/name=holdfast -o name | sort)
kube get pods --watch -o 'jsonpath={.metadata.name} {.status.containerStatuses[0].state.terminated.exitCode}{"\n"}' \
  >"$work/exit-codes" 2>/dev/null &
watch_pid=$!
began=$(now_ms)
kube rollout restart deployment/holdfast
wait_replaced
for old in $before; do kube wait --for=delete "$old" --timeout=120s; done
kill "$watch_pid" 2>/dev/null || true
echo "it took $((($(now_ms) - began) / 1000)) s"
tell_load "$began" "during the update" "$outage_ms_max"
for old in $before; do
  codes=$(awk -v pod="${old#*/}" '$1 == pod && $2 != "" {print $2}' "$work/exit-codes" | sort -u | tr '\n' ' ')
  echo "$old ended with status ${codes:-never seen}"
  [ "$codes" = '0 ' ] || fail "a node did not end in order"
done
if [ "$(kube get pods -l app.kubernetes.io/name=holdfast -o name | sort | comm -12 - <(echo "$before"))" != '' ]; then
  fail "a pod was not replaced"
fi
wait_shared
shards_of_nodes

step "A node is killed"
began=$(now_ms)
victim=$(kube get pods -l app.kubernetes.io/name=holdfast -o name | head -1)
# Kubernetes lets even a pod that it deletes at once end in order, so the process itself is killed.
kill -KILL "$(pid_of "$victim")"
sleep 12  # longer than the lease, under load
tell_load "$began" "after the kill" "$outage_ms_max"
wait_replaced
wait_shared
shards_of_nodes

step "The database is away for 20 s"
began=$(now_ms)
restarts_before=$(restarts)
end_database
sleep 15  # longer than the lease
[ -z "$(ready_addresses)" ] || fail "nodes without a lease are called ready"
sleep 5  # the readiness probes have their period
start_database
kube wait pods -l app.kubernetes.io/name=holdfast --for=condition=Ready --timeout=60s
[ "$(restarts)" = "$restarts_before" ] || fail "pods were started again: $(restarts), before it $restarts_before"
echo "no pod was ready meanwhile, and none was started again"
sleep 5  # the load works meanwhile
tell_load "$began" "meanwhile and after it" $((outage_ms_max + 25000))

step "What the clients got"
end_load
echo "-- errors that were healed by trying again"
sed -E 's/^[0-9:.]+ worker [0-9]+: [0-9.]+: //; s/[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(:[0-9]+)?/ADDRESS/g; s/holdfast-[0-9a-z]+-[0-9a-z]+/NODE/g' \
  "$work/errors" | cut -c1-240 | sort | uniq -c | sort -rn | head -20
end_database
