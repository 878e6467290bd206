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
- apiGroups: [alcazar.dev]
  resources: [llmdeployments/status, llmmodels/status]
  verbs: [patch]
# Asked for by clusters that check who may set owner references.
- apiGroups: [alcazar.dev]
  resources: [llmdeployments/finalizers, llmmodels/finalizers]
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
# Certificates for the model port, and the Secrets that specs name: by name, never listed or watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
