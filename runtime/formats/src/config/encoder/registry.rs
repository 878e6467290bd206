//! Which encoders are served, and with which heads.

/// A row of the table of encoders.
#[derive(Clone, Copy, Debug)]
pub struct EncoderArchitecture {
    /// What people call its models.
    pub title: &'static str,
    /// `model_type` in a config.json.
    pub model_type: &'static str,
    /// `general.architecture` in a GGUF file; empty: llama.cpp has none, or none whose numbers are the publisher's.
    pub gguf: &'static str,
}

const fn row(title: &'static str, model_type: &'static str, gguf: &'static str) -> EncoderArchitecture {
    EncoderArchitecture { title, model_type, gguf }
}

/// All encoders.
pub const ENCODERS: [EncoderArchitecture; 10] = [
    row("BERT", "bert", "bert"),
    row("RoBERTa", "roberta", "bert"),
    row("XLM-RoBERTa", "xlm-roberta", "bert"),
    row("CamemBERT", "camembert", ""),
    row("DistilBERT", "distilbert", "bert"),
    row("ELECTRA", "electra", ""),
    row("ALBERT", "albert", ""),
    row("MPNet", "mpnet", ""),
    row("DeBERTa v2, v3", "deberta-v2", ""),
    row("ModernBERT", "modernbert", "modern-bert"),
];

/// Heads: what they are called, and the routes that serve them.
pub const HEADS: [(&str, &str); 5] = [
    ("Embeddings", "`/v1/embeddings`, `/v1/rerank`"),
    ("Text classification", "`/v1/classify`; one label: `/v1/rerank`"),
    ("Token classification", "`/v1/classify`"),
    ("Fill-mask", "`/v1/fill-mask`"),
    ("Question answering", "`/v1/question-answering`"),
];

/// Whether a `model_type` is that of an encoder.
pub(crate) fn is_known(model_type: &str) -> bool {
    ENCODERS.iter().any(|row| row.model_type == model_type)
}

/// Whether a `general.architecture` is that of an encoder.
pub(crate) fn is_gguf(architecture: &str) -> bool {
    ENCODERS.iter().any(|row| row.gguf == architecture && !architecture.is_empty())
}

/// All architectures of GGUF, for errors.
pub(crate) fn supported_gguf() -> String {
    let mut names: Vec<&str> = ENCODERS.iter().map(|row| row.gguf).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// All of them, for errors.
pub(crate) fn supported() -> String {
    ENCODERS.map(|row| row.model_type).join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_has_the_routes() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = std::fs::read_to_string(root.join("docs/models.md")).unwrap();
        for (title, routes) in HEADS {
            let row = format!("| {title} | {routes} |");
            assert!(page.contains(&row), "docs/models.md should have {row}");
        }
    }
}
