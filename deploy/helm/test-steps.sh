# The part of ../kubernetes/test.sh --helm that proves the chart with one server: install, upgrade and rollback under load,
# uninstall, and another install that finds the data. Sourced by test.sh, whose functions it uses.

# The longest that an increment may take while the pod is replaced, tries included: the drain, the store's end, and the new
# pod until its probe has seen it, on a machine that does other things too.
readonly outage_ms_max=60000
# The values of production, with resources that every machine has.
readonly arguments=(--values "$values/production.yaml" --set resources.requests.cpu=100m
  --set resources.requests.memory=256Mi)

install_chart() {
  helm install holdfast "$chart" "${arguments[@]}" --wait --timeout 120s 2>&1 | tee "$work/install.log"
  if grep -i warning "$work/install.log"; then fail "the installation warns"; fi
  wait_ready
}

step "Every form has the schemas of Kubernetes and of the operators"
for each in dev production cluster openshift "production cert-manager" "cluster cert-manager monitoring"; do
  options=()
  for file in $each; do options+=(--values "$values/$file.yaml"); done
  helm template holdfast "$chart" --kube-version 1.35.0 "${options[@]}" 2>/dev/null | check_objects "the chart with $each"
done

step "helm install"
install_chart
kube get pods,pvc,services,networkpolicies,servicemonitors,prometheusrules -o wide
check_container 10001
forward
call health
call counter increment visits --amount 41
end_forward
expect_visits 42

step "helm upgrade under load: another log level and the user $other_user"
start_load
sleep 3  # the load works meanwhile
began=$(now_ms)
helm upgrade holdfast "$chart" --reuse-values --set podSecurityContext.runAsUser="$other_user" \
  --set config='log_level: DEBUG' --wait --timeout 120s
wait_ready
sleep 3  # the load works again
tell_load "$began" "during the upgrade" "$outage_ms_max"
check_container "$other_user"
kube get configmaps -l app.kubernetes.io/name=holdfast -o 'jsonpath={.items[*].data}' | grep -q 'log_level: DEBUG' ||
  fail "the configuration is not the new one"

step "helm rollback under load"
began=$(now_ms)
helm rollback holdfast 1 --wait --timeout 120s
wait_ready
sleep 3  # the load works again
tell_load "$began" "during the rollback" "$outage_ms_max"
check_container 10001
if kube get configmaps -l app.kubernetes.io/name=holdfast -o 'jsonpath={.items[*].data}' | grep 'log_level: DEBUG'; then
  fail "the configuration is still the new one"
fi

# An upgrade that fails must leave the pod of before as it is, serving.
expect_untouched() { # what the upgrade is given...
  local uid
  uid=$(kube get pod "$pod" -o 'jsonpath={.metadata.uid}')
  if helm upgrade holdfast "$chart" --reuse-values "$@" --wait --timeout 120s >"$work/upgrade.log" 2>&1; then
    fail "the upgrade was made"
  fi
  cat "$work/upgrade.log"
  [ "$(kube get pod "$pod" -o 'jsonpath={.metadata.uid} {.status.containerStatuses[0].ready}')" = "$uid true" ] ||
    fail "the pod is not that of before, or not ready"
}
step "A configuration that the server refuses: the upgrade fails, and the server goes on, under load"
began=$(now_ms)
expect_untouched --set config='log_levle: DEBUG'
grep -q log_levle "$work/upgrade.log" || fail "Helm does not show the reason"
kube logs job/holdfast-upgrade-check | grep log_levle

step "An image that does not exist: the same"
expect_untouched --set image.tag=missing --set upgradeCheck.seconds=15
grep -q DeadlineExceeded "$work/upgrade.log" || fail "it failed for another reason"
tell_load "$began" "during the upgrades that failed" 10000
end_load
echo "-- errors that were healed by trying again"
cut -d: -f5- "$work/errors" | cut -c1-200 | sort | uniq -c | sort -rn | head -5
helm history holdfast
expect_visits 43

step "The same without the check, and the way back: nobody deletes the pod"
for refused in "config=log_levle: DEBUG" image.tag=missing; do
  if helm upgrade holdfast "$chart" --reuse-values --no-hooks --set "$refused" --wait --timeout 10s 2>"$work/upgrade.log"; then
    fail "the upgrade was made"
  fi
  wait_refused app.kubernetes.io/name=holdfast 'CrashLoopBackOff|Error|ErrImagePull|ImagePullBackOff'
  began=$(now_ms)
  helm rollback holdfast 1 --wait --timeout 120s
  wait_ready
  echo "served again $((($(now_ms) - began) / 1000)) s after the rollback began"
done
expect_visits 44

step "A right upgrade after all that"
helm upgrade holdfast "$chart" --reuse-values --set podAnnotations.release=right --wait --timeout 120s
wait_ready
left=$(kube get jobs -o name)
[ -z "$left" ] || fail "these are left: $left"

step "Values that the schema refuses"
if helm upgrade holdfast "$chart" --reuse-values --set replica=2 2>"$work/schema.log"; then fail "the schema takes anything"; fi
grep replica "$work/schema.log"

step "helm uninstall keeps the volume"
helm uninstall holdfast --wait --timeout 120s
kube wait --for=delete "pod/$pod" --timeout=120s
left=$(kube get all,configmaps,networkpolicies,servicemonitors -l app.kubernetes.io/name=holdfast -o name)
[ -z "$left" ] || fail "these are left: $left"
kube get pvc
kube get pvc "data-$pod" -o 'jsonpath={.status.phase}{"\n"}' | grep -x Bound

step "helm install again finds the data"
install_chart
expect_visits 45
