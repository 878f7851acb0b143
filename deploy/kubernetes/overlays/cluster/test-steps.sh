# The part of ../../test.sh --cluster that proves this folder, and with --helm the chart: three nodes on a PostgreSQL, under
# a loop of increments with ids, while all nodes are replaced, one is killed, and the database is away. Sourced by test.sh,
# whose functions it uses.
#
# PostgreSQL is Debian's, on the machine beside the pods, with TLS and a password as the overlay has it.

readonly database_address=172.30.0.1 lease_ms=5000
readonly postgres=/usr/lib/postgresql/15/bin overlay=$here/overlays/cluster
# The version of the operator whose schema cloudnativepg.yaml is checked against.
readonly operator=github.com/cloudnative-pg/cloudnative-pg operator_version=v1.27.0
# The most time that an increment may take, tries included. After a kill the lease has to end.
readonly outage_ms_max=$((lease_ms + 10000))

sql() { as_postgres psql -h "$work/postgres" -d holdfast -Atc "$1"; }
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

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
  established crd/clusters.postgresql.cnpg.io
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

kube create secret generic holdfast-cluster --from-literal=secret="$(openssl rand -hex 32)"
kube create secret generic holdfast-db-app --from-literal=password="$password"
kube create secret generic holdfast-db-ca --from-file=ca.crt="$work/ca.crt"
if $by_helm; then
  step "helm install"
  database="host=$database_address dbname=holdfast user=holdfast sslmode=verify-full sslrootcert=/etc/holdfast-db/ca.crt"
  helm install holdfast "$chart" --values "$values/cluster.yaml" --values "$values/monitoring.yaml" \
    --set "cluster.databases={$database}" --wait --timeout 180s 2>&1 | tee "$work/apply.log"
else
  step "kubectl apply -k deploy/kubernetes/overlays/cluster"
  make_overlay
  kubectl kustomize "$work/overlay" | check_objects overlays/cluster
  kube apply -k "$work/overlay" 2>&1 | tee "$work/apply.log"
fi
if grep -qi warning "$work/apply.log"; then fail "applying it warns"; fi
kube wait job -l app.kubernetes.io/part-of=holdfast --for=condition=Complete --timeout=120s
wait_replaced
kube get pods,services,poddisruptionbudgets,networkpolicies -o wide
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
if $by_helm; then
  helm upgrade holdfast "$chart" --reuse-values --set podAnnotations.release=second --wait --timeout 300s
else
  kube rollout restart deployment/holdfast
fi
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
victim=$(kube get pods -l app.kubernetes.io/name=holdfast -o name | sed -n 1p)
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

step "A configuration that the server refuses, and the way back: the nodes of before serve on"
began=$(now_ms)
before=$(kube get pods -l app.kubernetes.io/name=holdfast -o name | sort)
if $by_helm; then
  if helm upgrade holdfast "$chart" --reuse-values --set config='log_levle: DEBUG' --wait --timeout 120s >"$work/upgrade.log" 2>&1; then
    fail "the upgrade was made"
  fi
  cat "$work/upgrade.log"
  grep -q log_levle "$work/upgrade.log" || fail "Helm does not show the reason"
  [ "$(kube get pods -l app.kubernetes.io/name=holdfast -o name | sort)" = "$before" ] || fail "the pods are not those of before"
  if helm upgrade holdfast "$chart" --reuse-values --no-hooks --set config='log_levle: DEBUG' --wait --timeout 10s; then
    fail "the upgrade was made"
  fi
else
  # A Job can't be changed; the one that is done goes after a minute, and this one would not be done.
  kube wait --for=delete job/holdfast-init-cluster --timeout=120s
  cp "$work/overlay/holdfast.textproto" "$work/right.textproto"
  echo 'log_levle: DEBUG' >>"$work/overlay/holdfast.textproto"
  kube apply -k "$work/overlay"
fi
wait_refused app.kubernetes.io/name=holdfast 'CrashLoopBackOff|Error'
sleep 5 # longer than the readiness probes take
[ "$(ready_addresses | wc -l)" = 3 ] || fail "not all nodes of before serve"
if $by_helm; then
  # By number: the revision before this one is the one that the check has refused.
  helm rollback holdfast 2 --wait --timeout 120s
else
  mv "$work/right.textproto" "$work/overlay/holdfast.textproto"
  kube delete job holdfast-init-cluster
  kube apply -k "$work/overlay"
fi
wait_replaced
for each in $(kube get pods -l app.kubernetes.io/name=holdfast -o name | sort | comm -13 <(echo "$before") -); do
  kube wait --for=delete "$each" --timeout=120s
done
[ "$(kube get pods -l app.kubernetes.io/name=holdfast -o name | sort)" = "$before" ] || fail "the pods are not those of before"
tell_load "$began" "meanwhile" "$outage_ms_max"

step "What the clients got"
end_load
echo "-- errors that were healed by trying again"
sed -E 's/^[0-9:.]+ worker [0-9]+: [0-9.]+: //; s/[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(:[0-9]+)?/ADDRESS/g; s/holdfast-[0-9a-z]+-[0-9a-z]+/NODE/g' \
  "$work/errors" | cut -c1-240 | sort | uniq -c | sort -rn | head -20
end_database
