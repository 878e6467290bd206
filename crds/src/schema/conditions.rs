//! `status.conditions`: the bounds of metav1.Condition, which its Rust type does not carry.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the object's state.",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string", "minLength": 1, "maxLength": 316, "pattern": "^[A-Za-z]+$",
                    "description": "What the condition is about; see the tables of conditions.",
                },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0, "maximum": 9_007_199_254_740_991_i64,
                    "description": "`metadata.generation` that the condition was judged for.",
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "maxLength": 64,
                    "description": "When the status last changed.",
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[A-Z][A-Za-z0-9]*$",
                    "description": "Why, as one word of a closed set.",
                },
                "message": {
                    "type": "string", "maxLength": 32768,
                    "description": "Why, as a sentence for people, with what to do about it.",
                },
            },
        },
    })
}
