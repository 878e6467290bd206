//! GGUF's names of an encoder's tensors, and those that its publisher's files have.

use alcazar_core::EncoderFamily;

const EMBEDDINGS: [(&str, &str); 4] = [
    ("token_embd", "embeddings.word_embeddings"),
    ("position_embd", "embeddings.position_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
];
const BERT: [(&str, &str); 8] = [
    ("attn_q", "attention.self.query"),
    ("attn_k", "attention.self.key"),
    ("attn_v", "attention.self.value"),
    ("attn_output", "attention.output.dense"),
    ("attn_output_norm", "attention.output.LayerNorm"),
    ("ffn_up", "intermediate.dense"),
    ("ffn_down", "output.dense"),
    ("layer_output_norm", "output.LayerNorm"),
];
const DISTILBERT: [(&str, &str); 8] = [
    ("attn_q", "attention.q_lin"),
    ("attn_k", "attention.k_lin"),
    ("attn_v", "attention.v_lin"),
    ("attn_output", "attention.out_lin"),
    ("attn_output_norm", "sa_layer_norm"),
    ("ffn_up", "ffn.lin1"),
    ("ffn_down", "ffn.lin2"),
    ("layer_output_norm", "output_layer_norm"),
];
const MODERN_BERT: [(&str, &str); 6] = [
    ("attn_norm", "attn_norm"),
    ("attn_qkv", "attn.Wqkv"),
    ("attn_output", "attn.Wo"),
    ("ffn_norm", "mlp_norm"),
    ("ffn_up", "mlp.Wi"),
    ("ffn_down", "mlp.Wo"),
];
const MODERN_BERT_TOP: [(&str, &str); 6] = [
    ("token_embd", "embeddings.tok_embeddings"),
    ("token_embd_norm", "embeddings.norm"),
    ("output_norm", "final_norm"),
    ("cls", "head.dense"),
    ("cls.norm", "head.norm"),
    ("cls.output", "classifier"),
];

/// The publisher's name of a tensor, so that the models know one set of names; a name that is not known stays.
pub(crate) fn hugging_face_name(family: &EncoderFamily, name: &str) -> String {
    let (layers, in_layer, top, heads): (_, &[_], &[_], &[_]) = match family {
        EncoderFamily::ModernBert(_) => ("layers", &MODERN_BERT, &MODERN_BERT_TOP, &[]),
        EncoderFamily::DistilBert => {
            ("transformer.layer", &DISTILBERT, &EMBEDDINGS, &[("cls", "pre_classifier"), ("cls.output", "classifier")])
        }
        _ => {
            ("encoder.layer", &BERT, &EMBEDDINGS, &[("cls", "classifier.dense"), ("cls.output", "classifier.out_proj")])
        }
    };
    let Some((stem, kind)) = name.rsplit_once('.') else { return name.to_owned() };
    let find = |names: &[(&str, &'static str)], part: &str| {
        names.iter().find(|(gguf, _)| *gguf == part).map(|(_, publishers)| *publishers)
    };
    let found = match stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((nth, part)) => find(in_layer, part).map(|part| format!("{layers}.{nth}.{part}")),
        None => find(top, stem).or_else(|| find(heads, stem)).map(str::to_owned),
    };
    found.map_or_else(|| name.to_owned(), |stem| format!("{stem}.{kind}"))
}
