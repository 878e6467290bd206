{{/* Names, labels and image references that several templates share. */}}

{{/* Of everything in the release: the operator's program, in the release's name. */}}
{{- define "alcazar.name" -}}
{{- printf "%s-operator" (trunc 44 .Release.Name | trimSuffix "-") -}}
{{- end -}}

{{/* What selects the operator's pods. The operator names its own pods by the first label, as a peer of its policies. */}}
{{- define "alcazar.selector" -}}
app.kubernetes.io/name: alcazar-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "alcazar.labels" -}}
{{ include "alcazar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: alcazar
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What selects the gateway's pods. The first label is the peer that the firewalls of model pods let in. */}}
{{- define "alcazar.gatewaySelector" -}}
app.kubernetes.io/name: alcazar-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "alcazar.gatewayLabels" -}}
{{ include "alcazar.gatewaySelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: alcazar
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* (dict "root" $ "image" "runtime" "digest" "sha256:...") */}}
{{- define "alcazar.image" -}}
{{- $values := .root.Values.image -}}
{{- if .digest -}}
{{ printf "%s/%s@%s" $values.registry .image .digest }}
{{- else -}}
{{ printf "%s/%s:%s" $values.registry .image (default .root.Chart.AppVersion $values.tag) }}
{{- end -}}
{{- end -}}

{{/* The operator's settings file; its hash rolls the operator's pod. */}}
{{- define "alcazar.settings" -}}
runtimeImage: {{ include "alcazar.image" (dict "root" . "image" "runtime" "digest" .Values.image.digests.runtime) | quote }}
{{- if .Values.cuda.enabled }}
runtimeCudaImage: {{ include "alcazar.image" (dict "root" . "image" "runtime-cuda" "digest" .Values.image.digests.runtimeCuda) | quote }}
{{- end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
imagePullSecretNames: {{ toJson .Values.image.pullSecretNames }}
watchNamespaces: {{ toJson .Values.watchNamespaces }}
huggingFaceEndpoint: {{ .Values.sources.huggingFaceEndpoint | quote }}
allowedHosts: {{ toJson .Values.sources.allowedHosts }}
sourceCidrs: {{ toJson .Values.sources.cidrs }}
propagatedLabels: {{ toJson .Values.propagatedLabels }}
metricsFrom: {{ toJson .Values.metrics.from }}
defaults:
  {{- with .Values.defaults.storageClassName }}
  storageClassName: {{ . | quote }}
  {{- end }}
  storageSize: {{ .Values.defaults.storageSize | quote }}
  cpu: {{ .Values.defaults.cpu | quote }}
  memory: {{ .Values.defaults.memory | quote }}
gateway:
  enabled: {{ .Values.gateway.enabled }}
  {{- with .Values.gateway.tlsSecretName }}
  tlsSecretName: {{ . | quote }}
  {{- end }}
  extraNames: {{ toJson .Values.gateway.extraNames }}
  vpn:
    enabled: {{ .Values.gateway.vpn.enabled }}
    endpoint: {{ .Values.gateway.vpn.endpoint | quote }}
    cidr: {{ .Values.gateway.vpn.cidr | quote }}
    gatewayAddress: {{ .Values.gateway.vpn.gatewayAddress | quote }}
require: {{ toJson .Values.require }}
isolation: {{ toJson .Values.isolation }}
{{- end -}}

{{/* The gateway's settings file; its hash rolls the gateway's pods. */}}
{{- define "alcazar.gatewaySettings" -}}
listen: "0.0.0.0:8443"
probeListen: "0.0.0.0:8081"
peerListen: "0.0.0.0:8444"
tlsDir: /tls
clientDir: /client
watchNamespaces: {{ toJson .Values.watchNamespaces }}
hold: {{ toJson .Values.gateway.hold }}
limits:
  maxBodyBytes: {{ int64 .Values.gateway.limits.maxBodyBytes }}
  maxConnections: {{ int64 .Values.gateway.limits.maxConnections }}
  headerSeconds: {{ int64 .Values.gateway.limits.headerSeconds }}
peers: {service: alcazar-gateway-peers}
audit:
  file: {{ ternary "/audit/audit.jsonl" "" (ne .Values.gateway.audit.claimName "") | quote }}
  maxBytes: {{ int64 .Values.gateway.audit.maxBytes }}
  keep: {{ int64 .Values.gateway.audit.keep }}
{{- if .Values.gateway.vpn.enabled }}
vpn:
  enabled: true
  listen: "0.0.0.0:51820"
  privateKeyFile: /vpn/privateKey
  cidr: {{ .Values.gateway.vpn.cidr | quote }}
  address: {{ .Values.gateway.vpn.gatewayAddress | quote }}
{{- end }}
{{- end -}}
