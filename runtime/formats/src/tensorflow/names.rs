//! TensorFlow's names and layouts of weights, and PyTorch's.
//!
//! The rules are those of Hugging Face transformers: `convert_tf_weight_name_to_pt_weight_name` for Keras' names,
//! `load_tf_weights_in_bert` and `load_tf_weights_in_gpt2` for those of version 1.

use crate::checkpoint::Tensor;

/// What optimizers and loops keep beside the weights.
const STATE: [&str; 12] = [
    "adam_m",
    "adam_v",
    "adam",
    "adam_1",
    "adamweightdecayoptimizer",
    "adamweightdecayoptimizer_1",
    "lamb_m",
    "lamb_v",
    "global_step",
    "beta1_power",
    "beta2_power",
    "save_counter",
];

/// A tensor's new name, and whether its axes change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Renamed {
    pub(super) name: String,
    axes: Axes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axes {
    Same,
    /// A kernel: inputs before outputs.
    Kernel,
    /// Axes of one element are left out.
    Squeezed,
}

impl Renamed {
    pub(super) fn apply(self, mut tensor: Tensor) -> Tensor {
        tensor.name = self.name;
        match (self.axes, tensor.shape.len()) {
            (Axes::Kernel, 4) => {
                // Height, width, inputs, outputs.
                tensor.shape.rotate_left(2);
                tensor.strides.rotate_left(2);
                swap_first(&mut tensor.shape);
                swap_first(&mut tensor.strides);
                tensor
            }
            (Axes::Kernel, _) => tensor.transposed(),
            (Axes::Squeezed, _) => {
                let axes = tensor.shape.iter().copied().zip(tensor.strides.iter().copied());
                (tensor.shape, tensor.strides) = axes.filter(|(dimension, _)| *dimension != 1).unzip();
                tensor
            }
            (Axes::Same, _) => tensor,
        }
    }
}

fn swap_first<T>(axes: &mut [T]) {
    if let [first, second, ..] = axes {
        std::mem::swap(first, second);
    }
}

/// A name of Keras, whose first level is the model itself. `None`: no weight.
pub(super) fn of_keras(name: &str) -> Option<Renamed> {
    let name = name.trim_end_matches(":0").replace("_._", "/");
    let mut parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| is_state(part)) {
        return None;
    }
    if parts.len() > 1 {
        parts.remove(0);
    }
    let n = parts.len();
    // `a___b` is called `b`, unless it is the leaf.
    let levels = parts.iter().enumerate().map(|(nth, part)| match part.rsplit_once("___") {
        Some((_, name)) if nth + 1 < n => name,
        _ => part,
    });
    let mut parts: Vec<&str> = levels.collect();
    let leaf = parts.pop()?;
    let is_kernel = matches!(leaf, "kernel" | "pointwise_kernel" | "depthwise_kernel");
    parts.push(match leaf {
        "kernel" | "embeddings" | "gamma" => "weight",
        "beta" => "bias",
        "pointwise_kernel" => "pointwise.weight",
        "depthwise_kernel" => "depthwise.weight",
        other => other,
    });
    let is_projection = parts.iter().any(|part| matches!(*part, "emb_projs" | "out_projs"));
    let axes = match leaf {
        _ if is_kernel || is_projection => Axes::Kernel,
        // GPT-2's are matrices of one row.
        "bias" => Axes::Squeezed,
        _ => Axes::Same,
    };
    Some(Renamed { name: parts.join("."), axes })
}

/// A name of TensorFlow 1: of Google's BERT, or below `model` of OpenAI's GPT-2. `None`: no weight.
pub(super) fn of_version_1(name: &str) -> Option<Renamed> {
    let parts: Vec<&str> = name.split('/').collect();
    if parts.iter().any(|part| is_state(part)) {
        return None;
    }
    match parts.as_slice() {
        ["model", rest @ ..] if is_gpt2(rest) => Some(of_gpt2(rest)),
        _ => Some(of_bert(&parts)),
    }
}

fn is_state(part: &str) -> bool {
    let part = part.to_lowercase();
    STATE.contains(&part.as_str())
}

fn is_gpt2(parts: &[&str]) -> bool {
    match parts {
        ["wte" | "wpe"] => true,
        [block, ..] => *block == "ln_f" || (block.starts_with('h') && numbered(block, "").is_some()),
        [] => false,
    }
}

/// `("layer", "0")` of `layer_0`: letters, the separator, digits.
fn numbered<'a>(part: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = part.strip_prefix(letters).filter(|digits| !digits.is_empty())?;
    let word = letters.strip_suffix(separator)?;
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic())).then_some((word, digits))
}

fn of_gpt2(parts: &[&str]) -> Renamed {
    let mut out = Vec::new();
    for part in parts {
        match *part {
            "w" | "g" => out.push("weight"),
            "b" => out.push("bias"),
            "wte" | "wpe" => out.extend([*part, "weight"]),
            _ => match numbered(part, "") {
                Some((word, digits)) => out.extend([word, digits]),
                None => out.push(part),
            },
        }
    }
    Renamed { name: out.join("."), axes: Axes::Squeezed }
}

fn of_bert(parts: &[&str]) -> Renamed {
    let mut out = Vec::new();
    // The layer that a classifier was trained with has no level of its own.
    if let ["output_weights" | "output_bias"] = parts {
        out.push("classifier");
    }
    for part in parts {
        match *part {
            "kernel" | "gamma" | "output_weights" => out.push("weight"),
            "beta" | "output_bias" => out.push("bias"),
            "squad" => out.push("classifier"),
            _ => match numbered(part, "_") {
                Some((word, digits)) => out.extend([word, digits]),
                None => out.push(part),
            },
        }
    }
    let leaf = parts.last().copied().unwrap_or_default();
    if leaf.ends_with("_embeddings") {
        out.push("weight");
    }
    let axes = if leaf == "kernel" { Axes::Kernel } else { Axes::Same };
    Renamed { name: out.join("."), axes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keras_names_become_those_of_pytorch() {
        for (tf, pt, axes) in [
            (
                "tf_bert_model/bert/encoder/layer_._0/attention/self/query/kernel:0",
                "bert.encoder.layer.0.attention.self.query.weight",
                Axes::Kernel,
            ),
            ("tf_bert_model/bert/embeddings/LayerNorm/gamma:0", "bert.embeddings.LayerNorm.weight", Axes::Same),
            ("tf_bert_model/bert/embeddings/LayerNorm/beta", "bert.embeddings.LayerNorm.bias", Axes::Same),
            (
                "tf_bert_model/bert/embeddings/position_embeddings/embeddings:0",
                "bert.embeddings.position_embeddings.weight",
                Axes::Same,
            ),
            (
                "tf_bert_for_masked_lm/mlm___cls/predictions/transform/dense/kernel:0",
                "cls.predictions.transform.dense.weight",
                Axes::Kernel,
            ),
            ("tf_bert_for_masked_lm/mlm___cls/predictions/bias:0", "cls.predictions.bias", Axes::Squeezed),
            (
                "tfgp_t2lm_head_model/transformer/h_._3/attn/c_attn/weight:0",
                "transformer.h.3.attn.c_attn.weight",
                Axes::Same,
            ),
            ("final_logits_bias:0", "final_logits_bias", Axes::Same),
        ] {
            assert_eq!(of_keras(tf), Some(Renamed { name: pt.to_owned(), axes }), "{tf}");
        }
        assert_eq!(of_keras("tf_bert_model/bert/dense/kernel/Adam_m"), None);
    }

    #[test]
    fn names_of_version_1_become_those_of_pytorch() {
        for (tf, pt, axes) in [
            (
                "bert/encoder/layer_11/attention/self/query/kernel",
                "bert.encoder.layer.11.attention.self.query.weight",
                Axes::Kernel,
            ),
            ("bert/encoder/layer_0/output/LayerNorm/gamma", "bert.encoder.layer.0.output.LayerNorm.weight", Axes::Same),
            ("bert/embeddings/word_embeddings", "bert.embeddings.word_embeddings.weight", Axes::Same),
            ("cls/predictions/output_bias", "cls.predictions.bias", Axes::Same),
            ("cls/seq_relationship/output_weights", "cls.seq_relationship.weight", Axes::Same),
            ("output_weights", "classifier.weight", Axes::Same),
            ("model/h0/attn/c_attn/w", "h.0.attn.c_attn.weight", Axes::Squeezed),
            ("model/h11/ln_1/g", "h.11.ln_1.weight", Axes::Squeezed),
            ("model/wte", "wte.weight", Axes::Squeezed),
            ("model/ln_f/b", "ln_f.bias", Axes::Squeezed),
        ] {
            assert_eq!(of_version_1(tf), Some(Renamed { name: pt.to_owned(), axes }), "{tf}");
        }
        for state in ["bert/pooler/dense/kernel/adam_m", "global_step", "beta1_power", "bert/x/Adam_1"] {
            assert_eq!(of_version_1(state), None, "{state}");
        }
    }
}
