#!/usr/bin/python3
"""The Helm chart and Kustomize make the same objects, and the chart refuses bad values.

    render.py ROOT [--holdfastd PROGRAM]     compares; with PROGRAM each configuration is checked by the server too
    render.py ROOT --write                   puts deploy/monitoring's alerts.yml into the component monitoring and the
                                             chart, and its dashboard.json into the chart

helm and kustomize are taken from ROOT/build/tools/deploy (tests/deploy/build_tools.sh) or from the path. Without them the
comparison is skipped (exit status 77) and says so.

Left out of the comparison: Helm's hooks, which Kustomize has not, the hashes in names, the labels that only Helm has, comments and blanks of the configuration,
and the order of keys and of volumes.
"""
import copy
import difflib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

SKIPPED = 77
MADE = "# Made of deploy/monitoring/alerts.yml by tests/deploy/render.py ROOT --write. Change that file.\n"
RULES_HEAD = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: holdfast
spec:
"""
# The version of the cluster that the chart is rendered for; a helm that Go has built takes an old one for granted.
KUBE_VERSION = ("--kube-version", "1.35.0")
# Each form: the Kustomize folders that make it, resources and components, and the values files of the chart.
FORMS = {
    "base": (["kubernetes/base"], [], []),
    "dev": (["kubernetes/overlays/dev"], [], ["dev"]),
    "production": (["kubernetes/overlays/production"], [], ["production"]),
    "production with TLS": (["kubernetes/overlays/production"], ["kubernetes/components/cert-manager"], ["production", "cert-manager"]),
    "cluster": (["kubernetes/overlays/cluster"], [], ["cluster"]),
    "cluster with monitoring": (["kubernetes/overlays/cluster"], ["kubernetes/components/monitoring"], ["cluster", "monitoring"]),
    "openshift": (["openshift"], [], ["openshift"]),
    "production on OpenShift": (["kubernetes/overlays/production"], ["kubernetes/components/openshift"], ["production", "openshift"]),
    "cluster on OpenShift": (["kubernetes/overlays/cluster"], ["kubernetes/components/openshift"], ["cluster", "openshift"]),
}
# Values that the schema must refuse, and a word that the message must have.
BAD_VALUES = {
    "mode=several": "mode",
    "replica=3": "replica",
    "image.tags=x": "tags",
    "persistence.size=much": "size",
    "metrics.port=80": "port",
    "metrics.port=50051": "port",
    "replicas=0": "replicas",
    "upgradeCheck.seconds=1": "seconds",
    "networkPolicy.clients=": "clients",
    "tls.certManager.issuerRef.kind=Vault": "kind",
    "cluster.databases[0]=host=db password=secret": "databases",
    "config=listen: \"0.0.0.0:1\"": "config",
}
# Forms of the chart that Kustomize has not: the values and what must be in the text.
ONLY_HELM = {
    "http": (["http.enabled=true", "networkPolicy.enabled=true"], ['  listen: "0.0.0.0:8080"\n      insecure_listen: true\n    }', "containerPort: 8080", "- port: http", "targetPort: http"]),
    "cluster with TLS": (["mode=cluster", "tls.enabled=true"], ['ca_file: "/etc/holdfast-tls/ca.crt"', 'server_name: "holdfast"', "- liveness", "secretName: holdfast-tls"]),
    "http with TLS": (["http.enabled=true", "tls.enabled=true", "http.settings=threads: 2"], ['  listen: "0.0.0.0:8080"\n      threads: 2\n    }']),
    "two databases": (["mode=cluster", "cluster.databases={host=a,host=b}"], ['database { conninfo: "host=a" }', 'database { conninfo: "host=b" }']),
    "client certificates": (["tls.enabled=true", 'tls.settings=client_ca_file: "/etc/holdfast-tls/ca.crt"'], ['  client_ca_file: "/etc/holdfast-tls/ca.crt"']),
    "any user": (["podSecurityContext.runAsUser=1000810000"], ["runAsUser: 1000810000", "runAsNonRoot: true"]),
    "another name": (["fullnameOverride=store"], ["name: store-headless", "serviceName: store-headless", "app.kubernetes.io/instance: holdfast"]),
    "check before an upgrade": ([], ["helm.sh/hook: pre-upgrade", "name: holdfast-upgrade-check", "- --check-config", r'insecure_listen: true\n']),
    "a place for Jobs": (["mode=cluster", "nodeSelector.disk=fast", "imagePullSecrets[0].name=registry"], []),
    "dashboard": (["dashboard.enabled=true"], ['grafana_dashboard: "1"', 'holdfast.json: |-\n    {"uid":"holdfast"', "{{method}}"]),
    "no check before an upgrade": (["upgradeCheck.enabled=false"], []),
    "no metrics": (["metrics.enabled=false", "serviceMonitor.enabled=true", "networkPolicy.enabled=true"], []),
}


def run(*command, fails=False):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    if fails == (done.returncode == 0):
        sys.exit(f"render: {' '.join(map(str, command))} {'did not fail' if fails else 'failed'}:\n{done.stdout}{done.stderr}")
    return done.stderr if fails else done.stdout


def tool(root, name, faults):
    built = root / "build/tools/deploy" / name
    found = str(built) if built.exists() else shutil.which(name)
    if found is None:
        print(f"render: SKIPPED the comparison: there is no {name}; build it: tests/deploy/build_tools.sh")
        sys.exit("\n".join(faults) if faults else SKIPPED)
    return found


def made_files(root):
    """The files that are made of those for monitoring: neither Helm nor Kustomize reads a file outside of its folder."""
    lines = (root / "deploy/monitoring/alerts.yml").read_text().splitlines()
    while lines[0].startswith("#"):
        lines.pop(0)
    deeper = "".join(f"  {line}\n" if line else "\n" for line in lines)
    return {
        root / "deploy/kubernetes/components/monitoring/prometheus-rule.yaml": MADE + RULES_HEAD + deeper,
        root / "deploy/helm/holdfast/files/alerts.yml": MADE + "\n".join(lines) + "\n",
        root / "deploy/helm/holdfast/files/dashboard.json":
            json.dumps(json.loads((root / "deploy/monitoring/dashboard.json").read_text()), separators=(",", ":")) + "\n",
    }


def config_text(text):
    """A configuration without comments, one blank between words. No string of ours has a '#'."""
    return " ".join(re.sub(r"#.*", "", text).split())


def sort_volumes(value):
    """Sorts lists whose order means nothing, in place."""
    if isinstance(value, list):
        for each in value:
            sort_volumes(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            sort_volumes(each)
            if key in ("volumes", "volumeMounts"):
                each.sort(key=lambda volume: volume["name"])


def normal(objects):
    """The objects by kind and name, in a form in which equal ones are equal."""
    found = {}
    for each in objects:
        each = copy.deepcopy(each)
        labels = each["metadata"].get("labels", {})
        for only_helm in ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"):
            labels.pop(only_helm, None)
        if each["kind"] == "ConfigMap":
            each["data"] = {key: config_text(text) for key, text in each["data"].items()}
        sort_volumes(each)
        text = json.dumps(each, indent=1, sort_keys=True)
        text = re.sub(r"(holdfast-config)-[0-9a-z]{10}\b", r"\1", text)
        text = re.sub(r"(holdfast-init-cluster)-[0-9a-f]{10}\b", r"\1", text)
        name = (each["kind"], json.loads(text)["metadata"]["name"])
        if name in found:
            sys.exit(f"render: {name} comes twice")
        found[name] = text
    return found


def objects_of(text):
    return [each for each in yaml.safe_load_all(text) if each]


def difference(name, kustomized, helmed):
    lines = []
    for key in sorted(kustomized.keys() | helmed.keys()):
        left, right = kustomized.get(key, ""), helmed.get(key, "")
        if left != right:
            lines += difflib.unified_diff(left.splitlines(), right.splitlines(), f"{name}: {' '.join(key)} by Kustomize", f"{name}: {' '.join(key)} by Helm", lineterm="", n=2)
    return lines


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    deploy, chart = root / "deploy", root / "deploy/helm/holdfast"
    if "--write" in sys.argv:
        for file, text in made_files(root).items():
            file.write_text(text)
        return
    faults = []
    for file, text in made_files(root).items():
        if not file.exists() or file.read_text() != text:
            faults.append(f"{file.relative_to(root)} is not what deploy/monitoring says: tests/deploy/render.py . --write")
    version = re.search(r"^project\(holdfast VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text(), re.M)[1]
    of_chart = yaml.safe_load((chart / "Chart.yaml").read_text())
    if (of_chart["version"], of_chart["appVersion"]) != (version, version):
        faults.append(f"Chart.yaml is not of version {version}")
    for kustomization in ("base", "overlays/cluster"):
        if f"newTag: {version}\n" not in (deploy / "kubernetes" / kustomization / "kustomization.yaml").read_text():
            faults.append(f"{kustomization}/kustomization.yaml is not of version {version}")
    helm, kustomize = tool(root, "helm", faults), tool(root, "kustomize", faults)
    holdfastd = sys.argv[sys.argv.index("--holdfastd") + 1] if "--holdfastd" in sys.argv else None
    # Only a server that has this setting can check it.
    knows_http = re.search(r"\bHttpConfig http\b", (root / "proto/holdfast/config/v1/config.proto").read_text())
    checked = 0

    def template(arguments):
        return run(helm, "template", "holdfast", chart, "--namespace", "holdfast", *KUBE_VERSION, *arguments)

    def check_configs(name, objects):
        """The server reads each configuration, and takes it but for files that are only in the pod."""
        nonlocal checked
        for each in objects:
            text = each["data"].get("holdfast.textproto") if each["kind"] == "ConfigMap" else None
            if text is None or holdfastd is None or ("http {" in text and not knows_http):
                continue
            file = pathlib.Path(place) / "holdfast.textproto"
            file.write_text(text)
            options = ["--node=a", "--cluster-address=127.0.0.1:50051"] if "postgres {" in text else []
            done = subprocess.run([holdfastd, "--config", file, "--check-config", *options], capture_output=True, text=True)
            if done.returncode != 0:
                faults.append(f"{name}: the server does not take the configuration: {done.stderr.strip()}")
            checked += 1

    # Kustomize takes no absolute paths.
    (root / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / "build") as place:
        for name, (resources, components, values) in FORMS.items():
            beside = pathlib.Path(place) / re.sub(r"\W", "-", name)
            beside.mkdir()
            (beside / "kustomization.yaml").write_text(yaml.safe_dump({
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": [f"../../../deploy/{each}" for each in resources],
                "components": [f"../../../deploy/{each}" for each in components]}))
            kustomized = objects_of(run(kustomize, "build", beside))
            helmed = objects_of(template(["--no-hooks", *(f"--values={deploy / 'helm/values' / each}.yaml" for each in values)]))
            different = difference(name, normal(kustomized), normal(helmed))
            faults += different
            check_configs(name, kustomized)
            check_configs(name, helmed)
            print(f"render: {name}: {len(kustomized)} objects by Kustomize, {len(helmed)} by Helm, {'DIFFERENT' if different else 'the same'}")
        for name, (values, words) in ONLY_HELM.items():
            text = template([part for value in values for part in ("--set", value)])
            objects = objects_of(text)
            faults += [f"{name}: nothing says {word!r}" for word in words if word not in text]
            if name == "a place for Jobs":
                for each in objects:
                    spec = each["spec"]["template"]["spec"] if each["kind"] in ("Job", "Deployment") else None
                    if spec and (spec.get("nodeSelector") != {"disk": "fast"} or spec.get("imagePullSecrets") != [{"name": "registry"}]):
                        faults.append(f"{name}: {each['kind']} {each['metadata']['name']} has another one")
            if name == "no check before an upgrade" and "hook" in text:
                faults.append(f"{name}: there is one")
            if name == "no metrics" and re.search("metrics|ServiceMonitor", json.dumps(objects)):
                faults.append(f"{name}: there are some")
            check_configs(name, objects)
    for value, word in BAD_VALUES.items():
        message = run(helm, "template", "holdfast", chart, *KUBE_VERSION, "--set", value, fails=True)
        if word not in message or "schema" not in message:
            faults.append(f"{value}: the message does not name it: {message}")
    run(helm, "lint", "--strict", chart, *KUBE_VERSION)
    print(f"render: {len(ONLY_HELM)} more forms of the chart, {len(BAD_VALUES)} bad values refused, {checked} configurations taken by the server")
    if faults:
        sys.exit("\n".join(faults))


main()
