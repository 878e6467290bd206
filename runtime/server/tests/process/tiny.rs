//! A llama of one layer with random weights and a tokenizer of bytes, small enough to be made for each test.

use alcazar_formats::gguf::{Array, Value, write::GgufWriter};

const HIDDEN: usize = 32;
const FEED_FORWARD: usize = 64;
const TEMPLATE: &str = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}";

/// The bytes of a GGUF file with that many layers.
pub(crate) fn gguf(n_layers: u32) -> Vec<u8> {
    let tokens = tokens();
    let mut random = Random(42);
    let mut writer = GgufWriter::default()
        .text("general.architecture", "llama")
        .text("general.name", "tiny")
        .number("llama.block_count", n_layers)
        .number("llama.context_length", 4096)
        .number("llama.embedding_length", 32)
        .number("llama.feed_forward_length", 64)
        .number("llama.attention.head_count", 2)
        .number("llama.attention.head_count_kv", 1)
        .number("llama.rope.dimension_count", 16)
        .pair("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5))
        .pair("llama.rope.freq_base", Value::Float(10_000.0))
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "gpt-2")
        .text("tokenizer.chat_template", TEMPLATE)
        .texts("tokenizer.ggml.merges", ["a b"])
        .pair("tokenizer.ggml.token_type", Value::Array(Array::Integers(types(tokens.len()))))
        .number("tokenizer.ggml.eos_token_id", 257)
        .number("tokenizer.ggml.bos_token_id", 257);
    let n_tokens = tokens.len();
    writer = writer.texts("tokenizer.ggml.tokens", tokens);
    writer = random.tensor(writer, "token_embd.weight", &[n_tokens, HIDDEN]);
    for layer in 0..n_layers {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        for (part, shape) in [
            ("attn_q", [HIDDEN, HIDDEN]),
            ("attn_k", [HIDDEN / 2, HIDDEN]),
            ("attn_v", [HIDDEN / 2, HIDDEN]),
            ("attn_output", [HIDDEN, HIDDEN]),
            ("ffn_gate", [FEED_FORWARD, HIDDEN]),
            ("ffn_up", [FEED_FORWARD, HIDDEN]),
            ("ffn_down", [HIDDEN, FEED_FORWARD]),
        ] {
            writer = random.tensor(writer, &name(part), &shape);
        }
        writer = writer.floats(&name("attn_norm"), &[HIDDEN], &[1.0; HIDDEN]);
        writer = writer.floats(&name("ffn_norm"), &[HIDDEN], &[1.0; HIDDEN]);
    }
    writer.floats("output_norm.weight", &[HIDDEN], &[1.0; HIDDEN]).finish()
}

/// GPT-2's visible characters for the 256 bytes, one merged pair, and the end.
fn tokens() -> Vec<String> {
    let visible = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut hidden = 0;
    let mut tokens: Vec<String> = (0..256)
        .map(|byte| {
            let code = if visible(byte) {
                byte
            } else {
                hidden += 1;
                255 + hidden
            };
            char::from_u32(code).unwrap().to_string()
        })
        .collect();
    tokens.extend(["ab".to_owned(), "<|end|>".to_owned()]);
    tokens
}

/// 1 is an ordinary token, 3 a special one.
fn types(n_tokens: usize) -> Vec<i64> {
    let mut types = vec![1; n_tokens];
    types[n_tokens - 1] = 3;
    types
}

/// Good enough for weights, and the same everywhere.
struct Random(u32);

impl Random {
    fn tensor(&mut self, writer: GgufWriter, name: &str, shape: &[usize]) -> GgufWriter {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.next()).collect();
        writer.floats(name, shape, &values)
    }

    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(self.0 >> 16).unwrap()) / 65_536.0 - 0.5
    }
}
