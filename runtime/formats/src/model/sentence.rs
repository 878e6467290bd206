//! What sentence-transformers leaves beside a model: how its rows become one vector.

use std::path::{Path, PathBuf};

use alcazar_core::{
    Activation,
    encoder::{Pooling, SentenceEmbedding, Stage},
};
use serde_json::Value;

use super::directory::{CONFIG_LIMIT, read_json};
use crate::{Access, Error, error::excerpt};

const MODULES: &str = "modules.json";
const SETTINGS: &str = "config_sentence_transformers.json";
/// More modules than any published model has.
const MAX_MODULES: usize = 16;
const MAX_WIDTH: u64 = 1 << 20;

/// The steps, and the weight files of those that have weights, by the prefix of their tensors' names.
pub(super) struct Sentence {
    pub(super) embedding: SentenceEmbedding,
    pub(super) weights: Vec<(String, PathBuf)>,
}

/// Whether there is a `modules.json`.
pub(super) fn is_there(path: &Path) -> bool {
    path.join(MODULES).exists()
}

/// Reads `modules.json`; `None` when there is none.
pub(super) fn read(access: &dyn Access, path: &Path) -> Result<Option<Sentence>, Error> {
    let file = path.join(MODULES);
    let Some(modules) = read_json(access, &file, CONFIG_LIMIT)? else { return Ok(None) };
    let modules = modules
        .as_array()
        .filter(|modules| modules.len() <= MAX_MODULES)
        .ok_or_else(|| Error::malformed(&file, 0, "no list of modules", format!("a list of at most {MAX_MODULES}")))?;
    let mut reader = Reader {
        access,
        path,
        file: &file,
        pooling: None,
        pools_prompt: true,
        stages: Vec::new(),
        weights: Vec::new(),
    };
    for module in modules {
        reader.module(module)?;
    }
    let prompt = prompt(access, path)?;
    if prompt.is_some() && !reader.pools_prompt {
        let found = "a default prompt that is not pooled (include_prompt false)";
        return Err(Error::unsupported(&file, found, "prompts that are part of the text"));
    }
    let Some(pooling) = reader.pooling else {
        return Err(Error::malformed(&file, 0, "no Pooling module", "one, which makes one vector of a text"));
    };
    let embedding = SentenceEmbedding { pooling, stages: reader.stages, max_tokens: max_tokens(access, path)?, prompt };
    Ok(Some(Sentence { embedding, weights: reader.weights }))
}

fn max_tokens(access: &dyn Access, path: &Path) -> Result<Option<usize>, Error> {
    let settings = read_json(access, &path.join("sentence_bert_config.json"), CONFIG_LIMIT)?.unwrap_or(Value::Null);
    let most = settings.get("max_seq_length").and_then(Value::as_u64).filter(|most| *most > 0);
    Ok(most.and_then(|most| usize::try_from(most).ok()))
}

/// What stands before every text, unless a request says otherwise: the prompt that `default_prompt_name` names.
fn prompt(access: &dyn Access, path: &Path) -> Result<Option<String>, Error> {
    let file = path.join(SETTINGS);
    let settings = read_json(access, &file, CONFIG_LIMIT)?.unwrap_or(Value::Null);
    let Some(name) = settings.get("default_prompt_name").and_then(Value::as_str) else { return Ok(None) };
    let prompt = settings.get("prompts").and_then(|prompts| prompts.get(name)).and_then(Value::as_str);
    let prompt = prompt.ok_or_else(|| {
        let found = format!("default_prompt_name {}", excerpt(name));
        Error::malformed(&file, 0, found, "the name of one of its prompts")
    })?;
    Ok(Some(prompt.to_owned()).filter(|prompt| !prompt.is_empty()))
}

struct Reader<'a> {
    access: &'a dyn Access,
    path: &'a Path,
    file: &'a Path,
    pooling: Option<Pooling>,
    /// Whether the rows of a prompt are pooled with those of the text.
    pools_prompt: bool,
    stages: Vec<Stage>,
    weights: Vec<(String, PathBuf)>,
}

impl Reader<'_> {
    fn module(&mut self, module: &Value) -> Result<(), Error> {
        let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
        let (kind, folder) = (text("type"), text("path"));
        // A name with a separator could leave the directory.
        if folder.contains(['/', '\\']) || folder.starts_with('.') {
            return Err(Error::malformed(self.file, 0, format!("path {}", excerpt(folder)), "a plain name"));
        }
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Dropout" => Ok(()),
            "Normalize" => {
                self.stages.push(Stage::Normalize);
                Ok(())
            }
            "Pooling" if self.pooling.is_none() => {
                let file = self.path.join(folder).join("config.json");
                let settings = read_json(self.access, &file, CONFIG_LIMIT)?.unwrap_or(Value::Null);
                self.pooling = Some(pooling(&settings, &file)?);
                self.pools_prompt = settings.get("include_prompt").and_then(Value::as_bool).unwrap_or(true);
                Ok(())
            }
            "Dense" => self.dense(folder),
            _ => {
                let found = format!("module {}", excerpt(kind));
                Err(Error::unsupported(self.file, found, "Transformer, one Pooling, Dense, Normalize"))
            }
        }
    }

    fn dense(&mut self, folder: &str) -> Result<(), Error> {
        let file = self.path.join(folder).join("config.json");
        let settings = read_json(self.access, &file, CONFIG_LIMIT)?.unwrap_or(Value::Null);
        let width = |key: &str| {
            let found = settings.get(key).and_then(Value::as_u64).filter(|width| (1..=MAX_WIDTH).contains(width));
            let width = found.and_then(|width| usize::try_from(width).ok());
            width.ok_or_else(|| Error::malformed(&file, 0, format!("no sound {key}"), format!("1 to {MAX_WIDTH}")))
        };
        let class = settings.get("activation_function").and_then(Value::as_str).unwrap_or("Tanh");
        let activation = match class.rsplit('.').next().unwrap_or_default() {
            "Identity" => None,
            "Tanh" => Some(Activation::Tanh),
            "ReLU" => Some(Activation::Relu),
            "GELU" => Some(Activation::GeluErf),
            "SiLU" => Some(Activation::Silu),
            other => {
                let found = format!("activation_function {}", excerpt(other));
                return Err(Error::unsupported(&file, found, "Identity, Tanh, ReLU, GELU, SiLU"));
            }
        };
        let name = format!("{folder}.linear");
        self.stages.push(Stage::Dense { name, n_in: width("in_features")?, n_out: width("out_features")?, activation });
        self.weights.push((format!("{folder}."), self.path.join(folder).join("model.safetensors")));
        Ok(())
    }
}

fn pooling(settings: &Value, file: &Path) -> Result<Pooling, Error> {
    let is_on = |kind: &str| settings.get(format!("pooling_mode_{kind}")).and_then(Value::as_bool).unwrap_or(false);
    // One word, or a switch for each way.
    let named = settings.get("pooling_mode").and_then(Value::as_str);
    let ways = [
        ("cls", "cls_token", Pooling::First),
        ("mean", "mean_tokens", Pooling::Mean),
        ("max", "max_tokens", Pooling::Max),
        ("mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrtLength),
        ("lasttoken", "lasttoken", Pooling::Last),
    ];
    let chosen: Vec<Pooling> = ways
        .iter()
        .filter(|(word, switch, _)| named.map_or_else(|| is_on(switch), |named| named == *word))
        .map(|(_, _, pooling)| *pooling)
        .collect();
    match chosen.as_slice() {
        [one] if !is_on("weightedmean_tokens") => Ok(*one),
        _ => {
            let found = format!("{} ways of pooling that are known", chosen.len());
            Err(Error::unsupported(file, found, "exactly one of cls, mean, max, mean_sqrt_len, lasttoken"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Modules of a last-token embedder with these settings.
    fn written(pooling: &str, settings: &str) -> Result<Option<Sentence>, Error> {
        let dir = tempfile::tempdir().unwrap();
        let modules = r#"[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]"#;
        std::fs::write(dir.path().join(MODULES), modules).unwrap();
        std::fs::create_dir(dir.path().join("1_Pooling")).unwrap();
        std::fs::write(dir.path().join("1_Pooling/config.json"), pooling).unwrap();
        std::fs::write(dir.path().join(SETTINGS), settings).unwrap();
        read(&crate::Plain, dir.path())
    }

    #[test]
    fn the_default_prompt_is_read_and_no_other() {
        const LAST: &str = r#"{"pooling_mode": "lasttoken"}"#;
        let prompt = |settings: &str| written(LAST, settings).unwrap().unwrap().embedding.prompt;
        assert_eq!(
            prompt(r#"{"prompts": {"query": "ask: "}, "default_prompt_name": "query"}"#),
            Some("ask: ".to_owned())
        );
        assert_eq!(prompt(r#"{"prompts": {"query": "ask: "}, "default_prompt_name": null}"#), None);
        let unknown = written(LAST, r#"{"prompts": {}, "default_prompt_name": "query"}"#).err().unwrap();
        assert!(unknown.to_string().contains("default_prompt_name \"query\""), "{unknown}");
        let apart = r#"{"pooling_mode": "mean", "include_prompt": false}"#;
        let refused =
            written(apart, r#"{"prompts": {"query": "ask: "}, "default_prompt_name": "query"}"#).err().unwrap();
        assert!(refused.to_string().contains("include_prompt false"), "{refused}");
        assert!(written(apart, "{}").is_ok(), "without a prompt there is nothing to leave out");
    }
}
