{{- define "holdfast.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains "holdfast" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-holdfast" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "holdfast.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The labels by which pods are found. They never change, since a StatefulSet's selector can't. */ -}}
{{- define "holdfast.selector" -}}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/part-of: holdfast
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "holdfast.tlsSecret" -}}
{{ .Values.tls.secretName | default (printf "%s-tls" (include "holdfast.fullname" .)) }}
{{- end }}

{{- /* The names in the certificate, as a JSON list. */ -}}
{{- define "holdfast.dnsNames" -}}
{{- $name := include "holdfast.fullname" . -}}
{{ .Values.tls.dnsNames | default (list $name (printf "%s-headless" $name)) | toJson }}
{{- end }}

{{- /* The text of the configuration. */ -}}
{{- define "holdfast.config" -}}
{{- $cluster := eq .Values.mode "cluster" -}}
# Made by the Helm chart.
listen: "0.0.0.0:50051"
{{- if .Values.tls.enabled }}
tls {
  certificate_file: "/etc/holdfast-tls/tls.crt"
  private_key_file: "/etc/holdfast-tls/tls.key"
  {{- with .Values.tls.settings }}
  {{- . | nindent 2 }}
  {{- end }}
}
{{- else }}
insecure_listen: true
{{- end }}
data_dir: "/var/lib/holdfast"
{{- if .Values.metrics.enabled }}
metrics { listen: "0.0.0.0:{{ .Values.metrics.port }}" insecure_listen: true }
{{- end }}
{{- if .Values.http.enabled }}
http {
  listen: "0.0.0.0:{{ .Values.http.port }}"
  {{- if not .Values.tls.enabled }}
  insecure_listen: true
  {{- end }}
  {{- with .Values.http.settings }}
  {{- . | nindent 2 }}
  {{- end }}
}
{{- end }}
{{- if $cluster }}
postgres {
  {{- range .Values.cluster.databases }}
  database { conninfo: {{ . | toJson }} }
  {{- end }}
  cluster {
    secret_file: "/etc/holdfast-cluster/secret"
    {{- if .Values.tls.enabled }}
    ca_file: "/etc/holdfast-tls/ca.crt"
    server_name: {{ index (include "holdfast.dnsNames" . | fromJsonArray) 0 | toJson }}
    {{- end }}
  }
  row_cache_bytes: {{ .Values.cluster.rowCacheBytes | int64 }}
}
{{- end }}
{{- if .Values.config }}
{{ .Values.config | trim }}
{{- else }}
server {
  drain_timeout_ms: 15000
}
actors {
  activation_bytes_max: 268435456
}
{{- if not $cluster }}
storage {
  block_cache_bytes: 268435456
  memtable_bytes: 268435456
}
{{- end }}
{{- end }}
{{- end }}

{{- /* Its name has a hash of the text, so that a changed configuration replaces the pods, and a rollback finds the old one. */ -}}
{{- define "holdfast.configName" -}}
{{ include "holdfast.fullname" . }}-config-{{ include "holdfast.config" . | sha256sum | trunc 10 }}
{{- end }}

{{- define "holdfast.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* How a probe asks for health, of "liveness" if that is the second argument. Kubernetes' own gRPC probes know no TLS. */ -}}
{{- define "holdfast.probe" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- if $root.Values.tls.enabled }}
exec:
  command:
    - holdfast
    - --server=127.0.0.1:50051
    - --tls-ca=/etc/holdfast-tls/ca.crt
    - --tls-server-name={{ index (include "holdfast.dnsNames" $root | fromJsonArray) 0 }}
    - --timeout=4s
    - --retries=0
    - health
    {{- with $service }}
    - {{ . }}
    {{- end }}
{{- else }}
grpc:
  port: 50051
  {{- with $service }}
  service: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "holdfast.ports" -}}
- name: grpc
  containerPort: 50051
{{- if .Values.metrics.enabled }}
- name: metrics
  containerPort: {{ .Values.metrics.port }}
{{- end }}
{{- if .Values.http.enabled }}
- name: http
  containerPort: {{ .Values.http.port }}
{{- end }}
{{- end }}

{{- /* The settings of all pods, Jobs' too: whose image they may pull, and where they may run. */ -}}
{{- define "holdfast.podPlace" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The settings of the server's pods that both modes have, with the same words. */ -}}
{{- define "holdfast.podCommon" -}}
{{- include "holdfast.podPlace" . }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
  {{- with .Values.podSecurityContext }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "holdfast.podMetadata" -}}
labels:
  {{- include "holdfast.selector" . | nindent 2 }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "holdfast.commonMounts" -}}
- {name: config, mountPath: /etc/holdfast, readOnly: true}
{{- if .Values.tls.enabled }}
- {name: tls, mountPath: /etc/holdfast-tls, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "holdfast.commonVolumes" -}}
- name: config
  configMap:
    name: {{ include "holdfast.configName" . }}
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "holdfast.tlsSecret" . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
