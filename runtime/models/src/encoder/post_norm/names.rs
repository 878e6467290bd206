//! What each family calls the parts of a layer.

use alcazar_core::EncoderFamily;

/// Names of the tensors, without their layer's prefix and without `.weight`.
pub(super) struct Names {
    layers: &'static str,
    in_layer: &'static str,
    pub(super) q: &'static str,
    pub(super) k: &'static str,
    pub(super) v: &'static str,
    pub(super) attention_output: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) inner: &'static str,
    pub(super) output: &'static str,
    pub(super) output_norm: &'static str,
}

const BERT: Names = Names {
    layers: "encoder.layer",
    in_layer: "",
    q: "attention.self.query",
    k: "attention.self.key",
    v: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

const DEBERTA: Names =
    Names { q: "attention.self.query_proj", k: "attention.self.key_proj", v: "attention.self.value_proj", ..BERT };

const MPNET: Names = Names {
    q: "attention.attn.q",
    k: "attention.attn.k",
    v: "attention.attn.v",
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

const DISTILBERT: Names = Names {
    layers: "transformer.layer",
    in_layer: "",
    q: "attention.q_lin",
    k: "attention.k_lin",
    v: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    inner: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
};

const ALBERT: Names = Names {
    layers: "encoder.albert_layer_groups",
    in_layer: ".albert_layers.0",
    q: "attention.query",
    k: "attention.key",
    v: "attention.value",
    attention_output: "attention.dense",
    attention_norm: "attention.LayerNorm",
    inner: "ffn",
    output: "ffn_output",
    output_norm: "full_layer_layer_norm",
};

impl Names {
    pub(super) const fn of(family: &EncoderFamily) -> &'static Self {
        match family {
            EncoderFamily::DistilBert => &DISTILBERT,
            EncoderFamily::Albert { .. } => &ALBERT,
            EncoderFamily::Mpnet { .. } => &MPNET,
            EncoderFamily::Deberta(_) => &DEBERTA,
            _ => &BERT,
        }
    }

    /// The prefix of a layer's tensors.
    pub(super) fn layer(&self, nth: usize) -> String {
        format!("{}.{nth}{}", self.layers, self.in_layer)
    }
}
