//! Which encoders are served, and with which heads.

/// A row of the table of encoders.
#[derive(Clone, Copy, Debug)]
pub struct EncoderArchitecture {
    /// What people call its models.
    pub title: &'static str,
    /// `model_type` in a config.json.
    pub model_type: &'static str,
    /// Beginning of the names of its checkpoints in tests/fixtures/encoders.
    pub fixture: &'static str,
}

const fn row(title: &'static str, model_type: &'static str, fixture: &'static str) -> EncoderArchitecture {
    EncoderArchitecture { title, model_type, fixture }
}

/// All encoders.
pub const ENCODERS: [EncoderArchitecture; 10] = [
    row("BERT", "bert", "bert"),
    row("RoBERTa", "roberta", "roberta"),
    row("XLM-RoBERTa", "xlm-roberta", "xlm-roberta"),
    row("CamemBERT", "camembert", "roberta"),
    row("DistilBERT", "distilbert", "distilbert"),
    row("ELECTRA", "electra", "electra"),
    row("ALBERT", "albert", "albert"),
    row("MPNet", "mpnet", "mpnet"),
    row("DeBERTa v2, v3", "deberta-v2", "deberta"),
    row("ModernBERT", "modernbert", "modernbert"),
];

/// Heads: what they are called, the route that serves them, and the end of the names of their checkpoints.
pub const HEADS: [(&str, &str, &str); 5] = [
    ("Embeddings", "`/v1/embeddings`, `/v1/rerank`", ""),
    ("Text classification", "`/v1/classify`; one label: `/v1/rerank`", "-classify"),
    ("Token classification", "`/v1/classify`", "-tokens"),
    ("Fill-mask", "`/v1/fill-mask`", "-mask"),
    ("Question answering", "`/v1/question-answering`", "-answer"),
];

/// Whether a `model_type` is that of an encoder.
pub(crate) fn is_known(model_type: &str) -> bool {
    ENCODERS.iter().any(|row| row.model_type == model_type)
}

/// All of them, for errors.
pub(crate) fn supported() -> String {
    ENCODERS.map(|row| row.model_type).join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The page of models has this table, and each of its cells a checkpoint that is compared with transformers
    /// (`every_family_and_head_answers_as_the_reference` of alcazar-models).
    #[test]
    fn the_page_has_the_table_and_each_cell_its_checkpoint() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = std::fs::read_to_string(root.join("docs/models.md")).unwrap();
        let heads = HEADS.map(|(title, ..)| title).join(" | ");
        let mut table = format!("| Models | `model_type` | {heads} |\n|---|---|{}\n", "---|".repeat(HEADS.len()));
        table.extend(ENCODERS.map(|encoder| {
            let cells = HEADS.map(|(.., end)| {
                let fixture = format!("{}{end}", encoder.fixture);
                let folder = root.join("tests/fixtures/encoders").join(&fixture);
                assert!(folder.join("config.json").exists(), "{fixture} should be made by tests/reference/encoders.py");
                "yes"
            });
            format!("| {} | `{}` | {} |\n", encoder.title, encoder.model_type, cells.join(" | "))
        }));
        assert!(page.contains(&table), "docs/models.md should have this table:\n{table}");
        for (title, routes, _) in HEADS {
            assert!(
                page.contains(&format!("| {title} | {routes} |")),
                "docs/models.md should name the routes of {title}"
            );
        }
    }
}
