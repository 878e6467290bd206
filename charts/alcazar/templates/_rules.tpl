{{/* What the operator may do with objects in namespaces: in a ClusterRole, or in one Role for each watched namespace. */}}
{{- define "alcazar.rules" -}}
# Its own kinds: the specs belong to people, so it never writes one it did not make.
- apiGroups: [alcazar.dev]
  resources: [llmdeployments]
  verbs: [get, list, watch]
# An inline model becomes an LlmModel of the deployment.
- apiGroups: [alcazar.dev]
  resources: [llmmodels]
  verbs: [get, list, watch, create, patch, delete]
# Keys and VPN peers are judged, never written.
- apiGroups: [alcazar.dev]
  resources: [llmapikeys, llmvpnpeers]
  verbs: [get, list, watch]
- apiGroups: [alcazar.dev]
  resources: [llmdeployments/status, llmmodels/status, llmapikeys/status, llmvpnpeers/status]
  verbs: [patch]
# Asked for by clusters that check who may set owner references.
- apiGroups: [alcazar.dev]
  resources: [llmdeployments/finalizers, llmmodels/finalizers, llmapikeys/finalizers]
  verbs: [update]
# The children.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Capabilities.APIVersions.Has "cilium.io/v2" }}
# By name, never listed: the kind is optional.
- apiGroups: [cilium.io]
  resources: [ciliumnetworkpolicies]
  verbs: [get, create, patch, delete]
{{- end }}
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# How the children's pods fare, and why.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# Certificates for the model port, keys on request, and the Secrets that specs name: by name, never listed or watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* What the gateway may do with objects in namespaces. No Secret, no pod. */}}
{{- define "alcazar.gatewayRules" -}}
- apiGroups: [alcazar.dev]
  resources: [llmapikeys, llmdeployments{{ if .Values.gateway.vpn.enabled }}, llmvpnpeers{{ end }}]
  verbs: [list, watch]
# What a key was used for, and when a peer was last there.
- apiGroups: [alcazar.dev]
  resources: [llmapikeys/status{{ if .Values.gateway.vpn.enabled }}, llmvpnpeers/status{{ end }}]
  verbs: [patch]
# Where the model pods are.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end -}}
