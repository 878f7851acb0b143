# The part of ../test.sh that proves the base, the overlays of one server and the component cert-manager. Sourced by
# test.sh, whose functions it uses.

# The longest that an increment may take while the pod is replaced, tries included: the drain, the store's end, and the new
# pod until its probe has seen it, on a machine that does other things too.
readonly outage_ms_max=60000

# An overlay in $work of what is named, with a text of its own.
overlay() { # name, what else its kustomization says
  mkdir -p "$work/$1"
  printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n%s\n' "$2" >"$work/$1/kustomization.yaml"
}
from_here() { realpath --relative-to="$work/$1" "$here/$2"; }  # name of the overlay, folder
user_patch="patches:
  - target: {kind: StatefulSet, name: holdfast}
    patch: |-
      - {op: add, path: /spec/template/spec/securityContext/runAsUser, value: $other_user}"

step "The overlays have the schemas of Kubernetes and of the operators"
for each in base overlays/dev overlays/production; do
  kubectl kustomize "$here/$each" | check_objects "$each"
done
mkdir "$work/tls"
overlay tls "resources: [$(from_here tls overlays/production)]
components: [$(from_here tls components/cert-manager)]"
kubectl kustomize "$work/tls" | check_objects "overlays/production with components/cert-manager"
kubectl kustomize "$here/overlays/production" | sed 's/interval: 15s/interval: often/' >"$work/bad.yaml"
if kube apply --dry-run=server --validate=strict -f "$work/bad.yaml" >"$work/bad.log" 2>&1; then fail "the schema takes anything"; fi

step "kubectl apply -k deploy/kubernetes/base"
kube apply -k "$here/base" 2>&1 | tee "$work/apply.log"
if grep -qi warning "$work/apply.log"; then fail "applying the base warns"; fi
wait_ready
kube get pods,pvc,services -o wide
first_uid=$(kube get pod "$pod" -o 'jsonpath={.metadata.uid}')

step "The container"
check_container 10001

step "Calls through the Service"
forward
call health
call counter increment visits --amount 41
end_forward
expect_visits 42

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
expect_visits 43

step "A rolling restart under load"
start_load
sleep 3  # the load works meanwhile
began=$(now_ms)
kube rollout restart statefulset/holdfast
wait_ready
sleep 3  # the load works again
tell_load "$began" "during the restart" "$outage_ms_max"

step "The user $other_user, under load"
began=$(now_ms)
mkdir "$work/user"
overlay user "resources: [$(from_here user base)]
$user_patch"
kube apply -k "$work/user"
wait_ready
sleep 3  # the load works again
tell_load "$began" "during the change" "$outage_ms_max"
check_container "$other_user"
end_load
expect_visits 44

# Applies the base with something that can't start, and then the base again: nobody deletes the pod.
way_back() { # reasons of the pod that can't start, counter of visits after it
  kube apply -k "$work/refused"
  wait_refused app.kubernetes.io/name=holdfast "$1"
  began=$(now_ms)
  kube apply -k "$work/user"
  wait_ready
  echo "served again $((($(now_ms) - began) / 1000)) s after the right objects were applied"
  expect_visits "$2"
}
step "A configuration that the server refuses, and the way back"
sed 's/^listen:/listens:/' "$here/base/holdfast.textproto" >"$work/holdfast.textproto"
overlay refused "resources: [$(from_here refused base)]
configMapGenerator:
  - {name: holdfast-config, behavior: replace, files: [holdfast.textproto]}
$user_patch"
mv "$work/holdfast.textproto" "$work/refused/"
way_back 'CrashLoopBackOff|Error' 45

step "An image that does not exist, and the way back"
overlay refused "resources: [$(from_here refused base)]
images: [{name: holdfast, newTag: missing}]
$user_patch"
way_back 'ErrImagePull|ImagePullBackOff' 46

step "TLS, by components/cert-manager with a Secret as cert-manager makes it"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
  -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -x509 -CA "$work/ca.crt" -CAkey "$work/ca.key" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
  -subj /CN=holdfast -addext subjectAltName=DNS:holdfast,DNS:holdfast-headless -addext basicConstraints=critical,CA:FALSE \
  -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
kube create secret generic holdfast-tls --from-file="$work/ca.crt" --from-file="$work/tls.crt" --from-file="$work/tls.key"
# The sizes of the base, whose volume this is; those of production do not fit every machine.
overlay tls "resources: [$(from_here tls base)]
components: [$(from_here tls components/cert-manager)]
$user_patch"
kube apply -k "$work/tls"
wait_ready
cp "$work/ca.crt" "$client_root/tmp/ca.crt"
forward
reply=$(call --tls-ca /tmp/ca.crt --tls-server-name holdfast counter increment visits)
echo "$reply"
[ "$(number value <<<"$reply")" = 47 ] || fail "the counter is not 47"
if call --timeout 5s --retries 0 counter get visits >"$work/plain.log" 2>&1; then fail "a call without TLS was answered"; fi
end_forward
