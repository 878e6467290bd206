//! Where the matrices of Hugging Face's modules went in a loaded model.

use alcazar_core::{
    DecoderConfig, RopeStyle, WeightNames,
    config::{FeedForward, Position},
};

use crate::{
    decoder::grouped,
    names::{Inner, Names, Projections, hugging_face},
};

/// A matrix of a layer as it is computed with: fused ones are taken apart when a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Query,
    Key,
    Value,
    AttentionOutput,
    Gate,
    Up,
    Down,
    /// Of the model, not of a layer: what scores the vocabulary.
    Scores,
}

/// One of the modules that adapters name.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Below the layer.
    pub(crate) module: &'static str,
    /// `[out, in]`.
    pub(crate) shape: [usize; 2],
    /// What it became, and which of its rows that is, in their order; `None`: all.
    pub(crate) parts: Vec<(Part, Option<Vec<usize>>)>,
}

/// A slot of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// `None`: of the whole model.
    pub(crate) layer: Option<usize>,
    pub(crate) slot: &'a Slot,
}

/// The modules of a model. All its layers are alike.
pub(crate) struct Layout {
    names: Names,
    n_layers: usize,
    slots: Vec<Slot>,
    scores: Slot,
}

impl Layout {
    pub(crate) fn new(config: &DecoderConfig) -> Self {
        let names = hugging_face(config);
        let mut slots = projections(config, &names);
        let whole = |module, shape, part| Slot { module, shape, parts: vec![(part, None)] };
        let output = [config.hidden, config.q_width()];
        slots.push(whole(names.attention_output, output, Part::AttentionOutput));
        slots.extend(feed_forward(config, &names));
        let width = config.input.width.unwrap_or(config.hidden);
        let scores = whole(names.output, [config.vocabulary, width], Part::Scores);
        Self { names, n_layers: config.n_layers(), slots, scores }
    }

    /// The place of a module, or why it has none.
    pub(crate) fn find(&self, module: &str) -> Result<Place<'_>, String> {
        if module == self.names.output {
            return Ok(Place { layer: None, slot: &self.scores });
        }
        let roots = self.names.roots.iter().chain(&[""]);
        let in_layer = |root: &&str| {
            let rest = module.strip_prefix(*root)?.strip_prefix(self.names.layer)?.strip_prefix('.')?;
            let (nth, part) = rest.split_once('.')?;
            Some((nth.parse::<usize>().ok()?, part))
        };
        let Some((nth, part)) = roots.filter(|root| module.starts_with(**root)).find_map(in_layer) else {
            return Err(format!("it changes {module}; {}", self.served()));
        };
        if nth >= self.n_layers {
            let n_layers = self.n_layers;
            return Err(format!("it changes {module}, the model has {n_layers} layers; use the base it was made for"));
        }
        match self.slots.iter().find(|slot| slot.module == part) {
            Some(slot) => Ok(Place { layer: Some(nth), slot }),
            None => Err(format!("it changes {module}; {}", self.served())),
        }
    }

    fn served(&self) -> String {
        let modules: Vec<_> = self.slots.iter().chain([&self.scores]).map(|slot| slot.module).collect();
        format!("of this model {} can be changed, train it with these as target_modules", modules.join(", "))
    }
}

fn projections(config: &DecoderConfig, names: &Names) -> Vec<Slot> {
    let (q, kv, hidden) = (config.q_width(), config.kv_width(), config.hidden);
    let parts = [Part::Query, Part::Key, Part::Value];
    let fused = |module, rows: [Vec<usize>; 3]| {
        let parts = parts.into_iter().zip(rows).map(|(part, rows)| (part, Some(ordered(config, part, rows))));
        vec![Slot { module, shape: [q + 2 * kv, hidden], parts: parts.collect() }]
    };
    match names.projections {
        Projections::Stacked(name) => {
            fused(name, [(0..q).collect(), (q..q + kv).collect(), (q + kv..q + 2 * kv).collect()])
        }
        Projections::Grouped(name) => fused(name, grouped(config)),
        Projections::Separate(names) | Projections::Either(names, _) => {
            let each = names.into_iter().zip(parts).zip([q, kv, kv]);
            let one = |((module, part), width): ((&'static str, Part), usize)| {
                let rows = is_interleaved(config).then(|| ordered(config, part, (0..width).collect()));
                Slot { module, shape: [width, hidden], parts: vec![(part, rows)] }
            };
            each.map(one).collect()
        }
    }
}

fn feed_forward(config: &DecoderConfig, names: &Names) -> Vec<Slot> {
    let (inner, hidden) = (config.feed_forward, config.hidden);
    let one = |module, part| Slot { module, shape: [inner, hidden], parts: vec![(part, None)] };
    let mut slots = match (config.feed_forward_kind, names.feed_forward) {
        (FeedForward::Experts { .. }, _) => return Vec::new(),
        (FeedForward::Plain(_), Inner::Separate([_, up]) | Inner::Stacked(up)) => vec![one(up, Part::Up)],
        (FeedForward::Gated(_), Inner::Separate([gate, up])) => vec![one(gate, Part::Gate), one(up, Part::Up)],
        (FeedForward::Gated(_), Inner::Stacked(module)) => {
            let parts = [(Part::Gate, 0..inner), (Part::Up, inner..2 * inner)];
            let parts = parts.map(|(part, rows)| (part, Some(rows.collect())));
            vec![Slot { module, shape: [2 * inner, hidden], parts: parts.into() }]
        }
    };
    slots.push(Slot { module: names.down, shape: [hidden, inner], parts: vec![(Part::Down, None)] });
    slots
}

/// GGUF files of the llama architecture have the rows of queries and keys in another order than Hugging Face.
fn is_interleaved(config: &DecoderConfig) -> bool {
    let is_rotated = |style| matches!(&config.position, Position::Rotary { global, .. } if global.style == style);
    config.names == WeightNames::Gguf && is_rotated(RopeStyle::Interleaved)
}

/// Rows in the order of the base's file: of each head the first half's and the second's in turns.
fn ordered(config: &DecoderConfig, part: Part, rows: Vec<usize>) -> Vec<usize> {
    if part == Part::Value || !is_interleaved(config) {
        return rows;
    }
    let half = config.head_dim / 2;
    let of_head = |head: &[usize]| {
        let (first, second) = head.split_at(half.min(head.len()));
        first.iter().zip(second).flat_map(|(a, b)| [*a, *b]).collect::<Vec<_>>()
    };
    rows.chunks(config.head_dim.max(1)).flat_map(of_head).collect()
}
