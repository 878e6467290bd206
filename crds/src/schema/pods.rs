//! Parts of a pod that users may set: labels, annotations, node labels, tolerations, spreading.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    Rule,
    network::{LABEL_KEY, LABEL_KEYS_RULE, LABEL_VALUE},
    rules,
};

const OWN_LABELS_RULE: Rule = Rule {
    rule: "self.all(k, !k.startsWith('alcazar.dev/') && !k.startsWith('app.kubernetes.io/'))",
    message: "must not set labels under alcazar.dev/ or app.kubernetes.io/: the operator owns them; use another prefix",
};

const OWN_ANNOTATIONS_RULE: Rule = Rule {
    rule: "self.all(k, !k.startsWith('alcazar.dev/'))",
    message: "must not set annotations under alcazar.dev/: the operator owns them; use another prefix",
};

/// Multus and its kin add interfaces that NetworkPolicies do not see.
const NETWORKS_RULE: Rule = Rule {
    rule: "self.all(k, !k.startsWith('k8s.v1.cni.cncf.io/') && !k.startsWith('v1.multus-cni.io/'))",
    message: "must not attach further networks to the pods: no NetworkPolicy holds there; remove the annotation",
};

/// The old way to loosen a pod's confinement; the fields that replaced it are out of reach here.
const CONFINEMENT_RULE: Rule = Rule {
    rule: "self.all(k, !k.startsWith('container.apparmor.security.beta.kubernetes.io/') && \
           !k.startsWith('container.seccomp.security.alpha.kubernetes.io/') && \
           !k.startsWith('seccomp.security.alpha.kubernetes.io/'))",
    message: "must not change the pods' AppArmor or seccomp profile: they keep the runtime's default; remove the annotation",
};

const TOLERATION_RULES: [Rule; 3] = [
    Rule {
        rule: "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
        message: "must set key, or operator: Exists to tolerate every taint",
    },
    Rule {
        rule: "!(has(self.operator) && self.operator == 'Exists') || !has(self.value) || self.value == ''",
        message: "must not set value with operator: Exists",
    },
    Rule {
        rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message: "must set effect: NoExecute with tolerationSeconds",
    },
];

const SPREAD_RULE: Rule = Rule {
    rule: "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
    message: "must set whenUnsatisfiable: DoNotSchedule with minDomains",
};

/// A map of labels to select by.
pub(crate) fn label_map(_: &mut SchemaGenerator) -> Schema {
    labels(&[LABEL_KEYS_RULE], "Value of the label.")
}

/// Labels to put on pods.
pub(crate) fn pod_labels(_: &mut SchemaGenerator) -> Schema {
    labels(&[LABEL_KEYS_RULE, OWN_LABELS_RULE], "Value of the label.")
}

fn labels(checks: &[Rule], description: &str) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "x-kubernetes-validations": rules(checks),
        "additionalProperties": {
            "type": "string", "maxLength": 63, "pattern": LABEL_VALUE, "description": description,
        },
    })
}

/// Annotations to put on pods.
pub(crate) fn pod_annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "x-kubernetes-validations": rules(&[LABEL_KEYS_RULE, OWN_ANNOTATIONS_RULE, NETWORKS_RULE, CONFINEMENT_RULE]),
        "additionalProperties": {
            "type": "string", "maxLength": 4096, "description": "Value of the annotation.",
        },
    })
}

/// A list of tolerations.
pub(crate) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "description": "A taint that the pods put up with, as in a pod.",
            "x-kubernetes-validations": rules(&TOLERATION_RULES),
            "properties": {
                "key": {
                    "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY,
                    "description": "Key of the taint. Default: every taint, with `operator: Exists`.",
                },
                "operator": {
                    "type": "string", "enum": ["Exists", "Equal"],
                    "description": "`Exists` takes any value of the taint, `Equal` only `value`. Default: `Equal`.",
                },
                "value": {
                    "type": "string", "maxLength": 63, "pattern": LABEL_VALUE,
                    "description": "Value of the taint, for `Equal`. Default: empty.",
                },
                "effect": {
                    "type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
                    "description": "Effect of the taint. Default: every effect.",
                },
                "tolerationSeconds": {
                    "type": "integer", "format": "int64", "minimum": 0, "maximum": 31_536_000,
                    "description": "Seconds that a pod stays on a node after a `NoExecute` taint came. Default: for ever.",
                },
            },
        },
    })
}

/// A list of topology spread constraints, without the selector, which the operator adds.
pub(crate) fn topology_spread_constraints(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["topologyKey", "whenUnsatisfiable"],
        "items": {
            "type": "object",
            "description": "How evenly the pods are spread over one kind of place.",
            "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
            "x-kubernetes-validations": rules(&[SPREAD_RULE]),
            "properties": {
                "maxSkew": {
                    "type": "integer", "format": "int32", "minimum": 1, "maximum": 1000,
                    "description": "By how many pods two places may differ. Example: `1`.",
                },
                "topologyKey": {
                    "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY,
                    "description": "Label of the nodes that names the place. Example: `topology.kubernetes.io/zone`.",
                },
                "whenUnsatisfiable": {
                    "type": "string", "enum": ["DoNotSchedule", "ScheduleAnyway"],
                    "description": "What happens to a pod that would break the rule.",
                },
                "minDomains": {
                    "type": "integer", "format": "int32", "minimum": 1, "maximum": 1000,
                    "description": "Places that there must be at least, with `DoNotSchedule`. Default: 1.",
                },
                "nodeAffinityPolicy": {
                    "type": "string", "enum": ["Honor", "Ignore"],
                    "description": "Whether nodes outside the node selector are left out of the count. Default: `Honor`.",
                },
                "nodeTaintsPolicy": {
                    "type": "string", "enum": ["Honor", "Ignore"],
                    "description": "Whether nodes with taints that are not tolerated are left out. Default: `Ignore`.",
                },
            },
        },
    })
}
