//! NetworkPolicy peers and label selectors, with the rules that Kubernetes checks only when the
//! NetworkPolicy itself is written: a peer that passes here is a peer that can be applied.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{Rule, rules};

/// Key of a label: an optional DNS prefix, then a name of at most 63 characters.
pub(super) const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// Value of a label, which may be empty.
pub(super) const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";

/// Rule on the keys of a map of labels.
pub(super) const LABEL_KEYS_RULE: Rule = Rule {
    rule: "self.all(k, k.size() <= 317 && \
           k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
    message: "must have label keys: a name of at most 63 letters, digits, '-', '_' and '.', optionally after a domain \
              and '/', for example example.com/team",
};

const PEER_RULES: [Rule; 2] = [
    Rule {
        rule: "has(self.ipBlock) || has(self.podSelector) || has(self.namespaceSelector)",
        message: "must say who: set podSelector, namespaceSelector (both together: these pods in these namespaces) or \
                  ipBlock",
    },
    Rule {
        rule: "!has(self.ipBlock) || !(has(self.podSelector) || has(self.namespaceSelector))",
        message: "must not combine ipBlock with a selector: write two peers",
    },
];

const EXPRESSION_RULE: Rule = Rule {
    rule: "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : !has(self.values) || \
           self.values.size() == 0",
    message: "must have values with In and NotIn, and none with Exists and DoesNotExist",
};

const CIDR_RULE: Rule =
    Rule { rule: "isCIDR(self)", message: "must be an address range in CIDR form, for example 10.20.0.0/16" };

const EXCEPT_RULE: Rule = Rule {
    rule: "!has(self.except) || !isCIDR(self.cidr) || self.except.all(e, !isCIDR(e) || \
           (cidr(self.cidr).containsCIDR(e) && cidr(self.cidr).prefixLength() < cidr(e).prefixLength()))",
    message: "must only except ranges that lie inside cidr and are smaller than it",
};

/// A list of NetworkPolicy peers.
pub(crate) fn peers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "description": "A peer, as in a NetworkPolicy.",
            "x-kubernetes-validations": rules(&PEER_RULES),
            "properties": {
                "podSelector": selector(
                    "Pods with these labels; in this namespace, or in those of `namespaceSelector`. `{}` means all pods."
                ),
                "namespaceSelector": selector(
                    "Namespaces with these labels. `{}` means all namespaces. Without `podSelector`: all their pods."
                ),
                "ipBlock": ip_block(),
            },
        },
    })
}

fn ip_block() -> Value {
    json!({
        "type": "object",
        "description": "A range of addresses outside the cluster. Must stand alone in its peer.",
        "required": ["cidr"],
        "x-kubernetes-validations": rules(&[EXCEPT_RULE]),
        "properties": {
            "cidr": {
                "type": "string", "minLength": 1, "maxLength": 49,
                "x-kubernetes-validations": rules(&[CIDR_RULE]),
                "description": "The range. Example: `10.20.0.0/16`.",
            },
            "except": {
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
                "description": "Parts of the range that are left out. Default: none.",
                "items": {
                    "type": "string", "minLength": 1, "maxLength": 49,
                    "x-kubernetes-validations": rules(&[CIDR_RULE]),
                    "description": "A smaller range inside `cidr`.",
                },
            },
        },
    })
}

/// A metav1.LabelSelector with bounds.
fn selector(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 16,
                "description": "Labels that must all be there with these values.",
                "x-kubernetes-validations": rules(&[LABEL_KEYS_RULE]),
                "additionalProperties": {
                    "type": "string", "maxLength": 63, "pattern": LABEL_VALUE,
                    "description": "Value of the label.",
                },
            },
            "matchExpressions": {
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
                "description": "Further requirements, all of which must hold.",
                "items": {
                    "type": "object",
                    "description": "A requirement on one label.",
                    "required": ["key", "operator"],
                    "x-kubernetes-validations": rules(&[EXPRESSION_RULE]),
                    "properties": {
                        "key": {
                            "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY,
                            "description": "Key of the label.",
                        },
                        "operator": {
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label is compared.",
                        },
                        "values": {
                            "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
                            "description": "Values for `In` and `NotIn`.",
                            "items": {
                                "type": "string", "maxLength": 63, "pattern": LABEL_VALUE,
                                "description": "A value of the label.",
                            },
                        },
                    },
                },
            },
        },
    })
}
