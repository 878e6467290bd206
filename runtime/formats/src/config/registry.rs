//! Which architectures are served, as each kind of file calls them.

use alcazar_core::{Family, RopeStyle};

/// A row of the table of supported models.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// Which code runs it.
    pub family: Family,
    /// What people call its models.
    pub title: &'static str,
    /// `model_type` in a config.json; empty: not served from there.
    pub model_type: &'static str,
    /// `general.architecture` in a GGUF file; empty: llama.cpp has none, or none that it can run.
    pub gguf: &'static str,
    /// How its GGUF files pair what is rotated.
    pub gguf_rope: RopeStyle,
}

const fn row(family: Family, title: &'static str, model_type: &'static str, gguf: &'static str) -> Architecture {
    Architecture { family, title, model_type, gguf, gguf_rope: RopeStyle::Halves }
}

/// GGUF files have the rows of q and k in another order.
const fn permuted(family: Family, title: &'static str, model_type: &'static str, gguf: &'static str) -> Architecture {
    Architecture { gguf_rope: RopeStyle::Interleaved, ..row(family, title, model_type, gguf) }
}

/// All decoders.
pub const ARCHITECTURES: [Architecture; 32] = [
    permuted(Family::Llama, "Llama 1-3, SmolLM2", "llama", "llama"),
    row(Family::Llama, "Mistral", "mistral", ""),
    row(Family::Llama, "Qwen2, Qwen2.5", "qwen2", "qwen2"),
    row(Family::Llama, "Qwen3", "qwen3", "qwen3"),
    permuted(Family::Llama, "SmolLM3", "smollm3", "smollm3"),
    row(Family::Llama, "Gemma 1", "gemma", "gemma"),
    row(Family::Gemma, "Gemma 2", "gemma2", "gemma2"),
    row(Family::Gemma, "Gemma 3 (text)", "gemma3_text", "gemma3"),
    row(Family::Gemma, "Gemma 3 (its text)", "gemma3", ""),
    row(Family::Phi3, "Phi-3, Phi-4", "phi3", "phi3"),
    row(Family::Olmo2, "OLMo 2", "olmo2", "olmo2"),
    // Its GGUF files say `olmo2` and have windows.
    row(Family::Olmo2, "OLMo 3", "olmo3", ""),
    row(Family::Llama, "Ministral (2410)", "ministral", ""),
    row(Family::Llama, "Mistral 3 (its text)", "mistral3", ""),
    permuted(Family::Llama, "Granite 3", "granite", "granite"),
    row(Family::Llama, "Seed-OSS", "seed_oss", "seed_oss"),
    row(Family::Llama, "StableLM 2", "stablelm", ""),
    row(Family::Llama, "ERNIE 4.5", "ernie4_5", ""),
    row(Family::Olmo2, "EXAONE 4", "exaone4", "exaone4"),
    row(Family::Glm4, "GLM-4 (0414)", "glm4", ""),
    row(Family::Starcoder2, "StarCoder 2", "starcoder2", "starcoder2"),
    row(Family::Gpt2, "GPT-2", "gpt2", "gpt2"),
    row(Family::GptBigCode, "StarCoder, SantaCoder", "gpt_bigcode", "starcoder"),
    row(Family::GptNeoX, "GPT-NeoX, Pythia", "gpt_neox", "gptneox"),
    // Its GGUF files say `llama` and have experts.
    row(Family::Mixtral, "Mixtral", "mixtral", ""),
    row(Family::Qwen3Moe, "Qwen3 MoE", "qwen3_moe", "qwen3moe"),
    row(Family::Opt, "OPT", "opt", ""),
    row(Family::Bloom, "BLOOM", "bloom", "bloom"),
    row(Family::Falcon, "Falcon", "falcon", "falcon"),
    row(Family::GptJ, "GPT-J", "gptj", ""),
    row(Family::GptNeo, "GPT-Neo", "gpt_neo", ""),
    row(Family::GptOss, "gpt-oss", "gpt_oss", "gpt-oss"),
];

/// By `model_type`.
pub(crate) fn by_model_type(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|row| row.model_type == name && !name.is_empty())
}

/// By `general.architecture`.
pub(crate) fn by_gguf(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|row| row.gguf == name && !name.is_empty())
}

/// The names of one column, for an error.
pub(crate) fn listed(column: impl Fn(&Architecture) -> &'static str) -> String {
    let names: Vec<&str> = ARCHITECTURES.iter().map(column).filter(|name| !name.is_empty()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_architectures() {
        for column in [|row: &Architecture| row.model_type, |row: &Architecture| row.gguf] {
            let mut names: Vec<_> = ARCHITECTURES.iter().map(column).filter(|name| !name.is_empty()).collect();
            let n = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), n);
        }
    }
}
