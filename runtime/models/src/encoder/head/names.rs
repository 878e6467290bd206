//! What each family calls the parts of its heads.

use alcazar_core::{Activation, EncoderFamily};

/// A dense step before scores.
pub(super) struct Hidden {
    pub(super) dense: &'static str,
    /// Below the trunk's prefix, where a pooler lies.
    pub(super) is_in_trunk: bool,
    /// `None`: the layers' own.
    pub(super) activation: Option<Activation>,
    pub(super) norm: Option<&'static str>,
    pub(super) is_as_wide_as_tokens: bool,
}

pub(super) struct Names {
    /// `None`: none, the last row is judged.
    pub(super) before_judge: Option<Hidden>,
    /// Scores of a text.
    pub(super) judge: &'static str,
    pub(super) before_tokens: Option<Hidden>,
    /// Scores of a token to begin and to end an answer.
    pub(super) answer: &'static str,
    pub(super) before_vocabulary: Hidden,
    /// The first that is there; the matrix is the table of tokens.
    pub(super) vocabulary_biases: [&'static str; 2],
}

const fn hidden(dense: &'static str, activation: Option<Activation>) -> Hidden {
    Hidden { dense, is_in_trunk: false, activation, norm: None, is_as_wide_as_tokens: false }
}

const fn pooler(dense: &'static str, activation: Activation) -> Hidden {
    Hidden { is_in_trunk: true, ..hidden(dense, Some(activation)) }
}

const fn transform(dense: &'static str, norm: &'static str, activation: Option<Activation>) -> Hidden {
    Hidden { norm: Some(norm), is_as_wide_as_tokens: true, ..hidden(dense, activation) }
}

const ANSWER: &str = "qa_outputs";
const BERT_TRANSFORM: Hidden =
    transform("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", None);
const BERT_BIASES: [&str; 2] = ["cls.predictions.bias", "cls.predictions.decoder.bias"];
const ROBERTA_TRANSFORM: Hidden = transform("lm_head.dense", "lm_head.layer_norm", Some(Activation::GeluErf));
const MODERN: Hidden = Hidden { norm: Some("head.norm"), ..hidden("head.dense", Some(Activation::GeluErf)) };

impl Names {
    pub(super) const fn of(family: &EncoderFamily) -> Self {
        match family {
            EncoderFamily::Bert => Self {
                before_judge: Some(pooler("pooler.dense", Activation::Tanh)),
                judge: "classifier",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: BERT_TRANSFORM,
                vocabulary_biases: BERT_BIASES,
            },
            EncoderFamily::Roberta | EncoderFamily::Mpnet { .. } => Self {
                before_judge: Some(hidden("classifier.dense", Some(Activation::Tanh))),
                judge: "classifier.out_proj",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: ROBERTA_TRANSFORM,
                vocabulary_biases: ["lm_head.bias", "lm_head.decoder.bias"],
            },
            EncoderFamily::DistilBert => Self {
                before_judge: Some(hidden("pre_classifier", Some(Activation::Relu))),
                judge: "classifier",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: transform("vocab_transform", "vocab_layer_norm", None),
                vocabulary_biases: ["vocab_projector.bias", "vocab_projector.bias"],
            },
            EncoderFamily::Electra => Self {
                before_judge: Some(hidden("classifier.dense", Some(Activation::GeluErf))),
                judge: "classifier.out_proj",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: transform(
                    "generator_predictions.dense",
                    "generator_predictions.LayerNorm",
                    Some(Activation::GeluErf),
                ),
                vocabulary_biases: ["generator_lm_head.bias", "generator_lm_head.bias"],
            },
            EncoderFamily::Albert { .. } => Self {
                before_judge: Some(pooler("pooler", Activation::Tanh)),
                judge: "classifier",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: transform("predictions.dense", "predictions.LayerNorm", None),
                vocabulary_biases: ["predictions.bias", "predictions.decoder.bias"],
            },
            EncoderFamily::Deberta(_) => Self {
                before_judge: Some(hidden("pooler.dense", Some(Activation::GeluErf))),
                judge: "classifier",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: BERT_TRANSFORM,
                vocabulary_biases: BERT_BIASES,
            },
            EncoderFamily::Decoder(_) => Self {
                before_judge: None,
                judge: "score",
                before_tokens: None,
                answer: ANSWER,
                before_vocabulary: BERT_TRANSFORM,
                vocabulary_biases: BERT_BIASES,
            },
            EncoderFamily::ModernBert(_) => Self {
                before_judge: Some(MODERN),
                judge: "classifier",
                before_tokens: Some(MODERN),
                answer: "classifier",
                before_vocabulary: MODERN,
                vocabulary_biases: ["decoder.bias", "decoder.bias"],
            },
        }
    }
}
