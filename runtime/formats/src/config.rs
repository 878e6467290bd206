//! A decoder's configuration out of GGUF metadata or a `config.json`, within bounds.
//!
//! The bounds are far above any known model, and low enough that products of dimensions fit 64 bits.

use std::{ops::RangeInclusive, path::Path};

use alcazar_core::{Activation, Gating, RopeStyle};
use alcazar_core::{
    DecoderConfig, Family, WeightNames,
    config::{
        AttentionConfig, BlockConfig, FeedForward, InputConfig, LayerConfig, NormKind, OutputConfig, Position, QkNorm,
        Residual, RopeConfig, RopeScaling, Rotation,
    },
};

use crate::Error;

pub(crate) mod encoder;
pub(crate) mod gguf;
pub(crate) mod hugging_face;
pub(crate) mod registry;

const LAYERS: RangeInclusive<u64> = 1..=1024;
const WIDTH: RangeInclusive<u64> = 1..=1 << 20;
const HEADS: RangeInclusive<u64> = 1..=4096;
const HEAD_DIM: RangeInclusive<u64> = 1..=4096;
const VOCABULARY: RangeInclusive<u64> = 1..=1 << 22;
const CONTEXT: RangeInclusive<u64> = 1..=1 << 26;
const EXPERTS: RangeInclusive<u64> = 1..=4096;

/// Where dimensions are read from.
trait Source {
    fn file(&self) -> &Path;
    fn integer(&self, key: &str) -> Option<u64>;
    fn float(&self, key: &str) -> Option<f64>;
}

fn wrong(source: &impl Source, key: &str, found: &str, expected: &str) -> Error {
    Error::malformed(source.file(), 0, format!("{key} {found}"), expected)
}

fn dimension(source: &impl Source, key: &str, range: RangeInclusive<u64>) -> Result<usize, Error> {
    let expected = format!("{} to {}", range.start(), range.end());
    match source.integer(key) {
        None => Err(wrong(source, key, "nowhere", &expected)),
        Some(n) if range.contains(&n) => usize::try_from(n).map_err(|_| wrong(source, key, &n.to_string(), &expected)),
        Some(n) => Err(wrong(source, key, &n.to_string(), &expected)),
    }
}

fn dimension_or(source: &impl Source, key: &str, range: RangeInclusive<u64>, default: usize) -> Result<usize, Error> {
    if source.integer(key).is_none() {
        return Ok(default);
    }
    dimension(source, key, range)
}

fn positive(source: &impl Source, key: &str, default: Option<f32>) -> Result<f32, Error> {
    let Some(x) = source.float(key) else {
        return default.ok_or_else(|| wrong(source, key, "nowhere", "a positive number"));
    };
    #[expect(clippy::cast_possible_truncation, reason = "the models compute in f32")]
    let narrow = x as f32;
    if narrow.is_finite() && narrow > 0.0 {
        return Ok(narrow);
    }
    Err(wrong(source, key, &x.to_string(), "a positive number"))
}

/// A positive number, if the file has one.
fn positive_if_there(source: &impl Source, key: &str) -> Result<Option<f32>, Error> {
    source.float(key).map(|_| positive(source, key, None)).transpose()
}

/// Dimensions that every decoder has.
struct Sizes {
    hidden: usize,
    feed_forward: usize,
    n_layers: usize,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    vocabulary: usize,
    context_length: usize,
    norm_epsilon: f32,
}

/// A decoder like Llama; the other families change what they do otherwise.
fn like_llama(family: Family, architecture: &str, names: WeightNames, sizes: &Sizes) -> DecoderConfig {
    DecoderConfig {
        family,
        architecture: architecture.to_owned(),
        names,
        hidden: sizes.hidden,
        feed_forward: sizes.feed_forward,
        n_heads: sizes.n_heads,
        n_kv_heads: sizes.n_kv_heads,
        head_dim: sizes.head_dim,
        vocabulary: sizes.vocabulary,
        context_length: sizes.context_length,
        block: BlockConfig {
            norm: NormKind::Rms,
            norm_epsilon: sizes.norm_epsilon,
            gain_offset: 0.0,
            norm_before: true,
            norm_after: false,
            residual: Residual::Sequential,
            result_scale: None,
        },
        position: Position::Rotary {
            global: RopeConfig {
                theta: 10_000.0,
                dims: sizes.head_dim,
                style: RopeStyle::Halves,
                scaling: RopeScaling::None,
            },
            local: None,
        },
        attention: AttentionConfig {
            scale: inverse_root(sizes.head_dim),
            soft_cap: None,
            qk_norm: QkNorm::None,
            has_sinks: false,
            scale_by_layer: false,
        },
        feed_forward_kind: FeedForward::Gated(Gating::Of(Activation::Silu)),
        layers: vec![LayerConfig { window: None, rotation: Rotation::Global, dense: None }; sizes.n_layers],
        input: InputConfig::default(),
        output: OutputConfig { has_norm: true, is_tied: false, soft_cap: None, scale: None },
    }
}

/// What GPT-2 and its kin have in common, where they differ from Llama.
fn like_gpt2(config: &mut DecoderConfig, activation: Activation) {
    config.block.norm = NormKind::Layer;
    config.feed_forward_kind = FeedForward::Plain(activation);
}

#[expect(clippy::cast_precision_loss, reason = "a width has far fewer than 2^23 elements")]
fn inverse_root(n: usize) -> f32 {
    1.0 / (n as f32).sqrt()
}

/// Gemma multiplies its embeddings by the root of their width.
#[expect(clippy::cast_precision_loss, reason = "a width has far fewer than 2^23 elements")]
fn root(n: usize) -> f32 {
    (n as f32).sqrt()
}

/// A window of as many positions in the layers that the pattern names; others keep what they have.
fn set_windows(config: &mut DecoderConfig, window: usize, has_window: impl Fn(usize) -> bool) {
    for (nth, layer) in config.layers.iter_mut().enumerate() {
        layer.window = has_window(nth).then_some(window);
    }
}

/// Layers with a window are rotated by frequencies of their own.
fn rotate_locally(config: &mut DecoderConfig) {
    for layer in &mut config.layers {
        layer.rotation = if layer.window.is_some() { Rotation::Local } else { Rotation::Global };
    }
}

/// Layers without a window are not rotated.
fn rotate_windows_only(config: &mut DecoderConfig) {
    for layer in &mut config.layers {
        layer.rotation = if layer.window.is_some() { Rotation::Global } else { Rotation::None };
    }
}

/// What must hold between the dimensions.
fn check(config: &DecoderConfig, file: &Path) -> Result<(), Error> {
    let malformed = |found: String, expected: String| Err(Error::malformed(file, 0, found, expected));
    if !config.n_heads.is_multiple_of(config.n_kv_heads) {
        return malformed(
            format!("{} heads with {} key-value heads", config.n_heads, config.n_kv_heads),
            "a multiple".to_owned(),
        );
    }
    if config.head_dim == 0 {
        return malformed(
            format!("{} heads in a width of {}", config.n_heads, config.hidden),
            "fewer heads".to_owned(),
        );
    }
    if let FeedForward::Experts { n_experts, n_used, .. } = config.feed_forward_kind
        && n_used > n_experts
    {
        return malformed(format!("{n_used} experts for each token"), format!("at most {n_experts}"));
    }
    let Position::Rotary { global, local } = &config.position else { return Ok(()) };
    for rope in std::iter::once(global).chain(local) {
        let dims = rope.dims;
        if !dims.is_multiple_of(2) || dims == 0 || dims > config.head_dim {
            let expected = format!("an even number up to the head's {}", config.head_dim);
            return malformed(format!("{dims} rotated elements"), expected);
        }
        if matches!(rope.scaling, RopeScaling::Dynamic { .. }) && dims <= 2 {
            return malformed(format!("dynamic scaling of {dims} elements"), "more than two".to_owned());
        }
        if let RopeScaling::LongRope { short, long, .. } = &rope.scaling
            && [short, long].iter().any(|factors| !factors.is_empty() && factors.len() != dims / 2)
        {
            return malformed(
                format!("{} and {} factors of longrope", short.len(), long.len()),
                (dims / 2).to_string(),
            );
        }
    }
    Ok(())
}
