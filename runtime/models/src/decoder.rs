//! Decoders of all families: embedding, layers, scores. What a layer does says the configuration.

mod adapt;
mod attention;
mod experts;
mod feed_forward;
mod layer;
mod norm;
mod rows;

use alcazar_core::{
    Activation, Backend, BackendError, Batch, CacheShape, DecoderConfig, Logits, Model, WeightSource,
    backend::CacheSpec,
    config::{Position, RopeConfig, RopeScaling, RopeTable},
};

use crate::{
    LoadError,
    adapter::{Adapted, Deltas},
    names::{Names, names},
    weights::{Linear, Loader, RawLinear},
};
pub(crate) use attention::grouped;
use layer::Layer;
use norm::Norm;
pub(crate) use rows::{BLOCK_TOKENS, Rows};

/// A loaded model.
pub(crate) struct Decoder<B: Backend> {
    backend: B,
    vocabulary: usize,
    input: Input<B>,
    /// Frequencies of most layers, and of those that have their own.
    ropes: [Option<RopeTable>; 2],
    layers: Vec<Layer<B>>,
    output: Output<B>,
    /// A of every adapter's every matrix.
    adapters: Vec<B::Matrix>,
    n_adapters: usize,
    cache: B::Cache,
    cache_shape: CacheShape,
}

struct Input<B: Backend> {
    table: B::Matrix,
    scale: Option<f32>,
    project: Option<Linear<B>>,
    /// The table of positions, and the row of the first.
    positions: Option<(B::Matrix, usize)>,
    norm: Option<Norm<B>>,
}

struct Output<B: Backend> {
    norm: Option<Norm<B>>,
    project: Option<Linear<B>>,
    /// `None`: the embedding's own table.
    scores: Option<Linear<B>>,
    /// What adapters add to the scores, whichever table makes them.
    deltas: Deltas<B>,
    soft_cap: Option<f32>,
}

/// Where a layer's tensors are: the loader, the family's names, and what all of them begin with.
pub(crate) struct Place<'a, B> {
    loader: &'a Loader<'a, B>,
    names: &'a Names,
    prefix: String,
}

impl<B: Backend> Place<'_, B> {
    fn name(&self, part: &str) -> String {
        format!("{}{part}", self.prefix)
    }

    /// A layer's matrix, `[out, in]` however the files have it.
    fn linear(&self, part: &str, shape: [usize; 2]) -> Result<RawLinear<'_>, LoadError> {
        let name = self.name(part);
        if self.names.is_transposed {
            self.loader.raw_transposed(&name, shape)
        } else {
            self.loader.raw_linear(&name, shape)
        }
    }
}

impl<B: Backend> Decoder<B> {
    pub(crate) fn load(
        backend: B,
        config: &DecoderConfig,
        source: &dyn WeightSource,
        cache_shape: CacheShape,
    ) -> Result<Self, LoadError> {
        let loader = Loader { backend: &backend, source };
        let (input, output, layers) = parts(&loader, config)?;
        let ropes = ropes(&loader, config)?;
        let spec = CacheSpec {
            n_layers: config.layers.len(),
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
            shape: cache_shape,
        };
        let cache =
            backend.cache(&spec).map_err(|source| LoadError::Device { name: "the cache".to_owned(), source })?;
        Ok(Self {
            backend,
            vocabulary: config.vocabulary,
            input,
            ropes,
            layers,
            output,
            adapters: Vec::new(),
            n_adapters: 0,
            cache,
            cache_shape,
        })
    }
}

type Parts<B> = (Input<B>, Output<B>, Vec<Layer<B>>);

fn parts<B: Backend>(loader: &Loader<'_, B>, config: &DecoderConfig) -> Result<Parts<B>, LoadError> {
    let names = names(config);
    let uses = |root: &&&str| loader.has(&format!("{root}{}.weight", names.embedding));
    let root = names.roots.iter().find(uses).or(names.roots.first()).copied().unwrap_or_default();
    let place = |prefix: String| Place { loader, names: &names, prefix };
    let top = place(root.to_owned());
    let input = Input::load(&top, config)?;
    let output = Output::load(&top, config)?;
    let layers = config.layers.iter().enumerate();
    let layers = layers.map(|(nth, _)| Layer::load(&place(format!("{root}{}.{nth}.", names.layer)), config, nth));
    Ok((input, output, layers.collect::<Result<_, _>>()?))
}

/// Llama 3's factors on the frequencies, in GGUF files.
const FREQUENCY_FACTORS: &str = "rope_freqs.weight";
/// Phi-3's, up to the original context and beyond.
const LONG_ROPE: [&str; 2] = ["rope_factors_short.weight", "rope_factors_long.weight"];

fn ropes<B: Backend>(loader: &Loader<'_, B>, config: &DecoderConfig) -> Result<[Option<RopeTable>; 2], LoadError> {
    let Position::Rotary { global, local } = &config.position else { return Ok([None, None]) };
    let mut global: RopeConfig = global.clone();
    if let RopeScaling::LongRope { short, long, .. } = &mut global.scaling {
        for (factors, name) in [short, long].into_iter().zip(LONG_ROPE) {
            if factors.is_empty() {
                *factors = loader.floats(name, global.dims / 2)?;
            }
        }
    }
    let mut table = global.table(config.context_length);
    if loader.has(FREQUENCY_FACTORS) {
        let factors = loader.floats(FREQUENCY_FACTORS, table.frequencies.len())?;
        table.frequencies.iter_mut().zip(factors).for_each(|(frequency, factor)| *frequency /= factor);
    }
    Ok([Some(table), local.as_ref().map(|local| local.table(config.context_length))])
}

impl<B: Backend> Input<B> {
    fn load(place: &Place<'_, B>, config: &DecoderConfig) -> Result<Self, LoadError> {
        let (loader, names) = (place.loader, place.names);
        let table = |name: &str, shape| loader.matrix(&format!("{}.weight", place.name(name)), shape);
        let width = config.input.width.unwrap_or(config.hidden);
        let project =
            config.input.width.map(|width| loader.linear(&place.name(names.project[0]), [config.hidden, width]));
        let positions = match config.position {
            Position::Learned { offset, entries } => Some((table(names.positions, [entries, config.hidden])?, offset)),
            Position::Rotary { .. } | Position::Alibi { .. } => None,
        };
        let norm = config.input.has_norm.then(|| Norm::load(place, names.embedding_norm, config.hidden, &config.block));
        Ok(Self {
            table: table(names.embedding, [config.vocabulary, width])?,
            scale: config.input.scale,
            project: project.transpose()?,
            positions,
            norm: norm.transpose()?,
        })
    }

    /// # Shapes
    /// - output: `[rows, hidden]`
    fn apply(&self, backend: &B, batch: &Batch) -> Result<B::Tensor, BackendError> {
        let mut x = backend.embedding(&self.table, &batch.ids())?;
        if let Some(scale) = self.scale {
            x = backend.scale(x, scale)?;
        }
        if let Some(project) = &self.project {
            x = project.apply(backend, &x)?;
        }
        if let Some((table, offset)) = &self.positions {
            let offset = u32::try_from(*offset).unwrap_or(u32::MAX);
            let rows: Vec<u32> = batch.positions().iter().map(|position| position.saturating_add(offset)).collect();
            x = backend.add(x, &backend.embedding(table, &rows)?)?;
        }
        match &self.norm {
            Some(norm) => norm.apply(backend, &x),
            None => Ok(x),
        }
    }
}

impl<B: Backend> Output<B> {
    fn load(place: &Place<'_, B>, config: &DecoderConfig) -> Result<Self, LoadError> {
        let (loader, names) = (place.loader, place.names);
        let width = config.input.width;
        let norm = config.output.has_norm.then(|| Norm::load(place, names.norm, config.hidden, &config.block));
        let project = width.map(|width| loader.linear(&place.name(names.project[1]), [width, config.hidden]));
        let has_scores = !config.output.is_tied && loader.has(&format!("{}.weight", names.output));
        let shape = [config.vocabulary, width.unwrap_or(config.hidden)];
        let scores = has_scores.then(|| loader.linear(names.output, shape));
        Ok(Self {
            norm: norm.transpose()?,
            project: project.transpose()?,
            scores: scores.transpose()?,
            deltas: Deltas::default(),
            soft_cap: config.output.soft_cap,
        })
    }

    /// The rows that scores are made of.
    ///
    /// # Shapes
    /// - x: `[rows, hidden]`; output: `[rows, width]`
    fn rows(&self, backend: &B, mut x: B::Tensor) -> Result<B::Tensor, BackendError> {
        if let Some(norm) = &self.norm {
            x = norm.apply(backend, &x)?;
        }
        if let Some(project) = &self.project {
            x = project.apply(backend, &x)?;
        }
        Ok(x)
    }

    /// # Shapes
    /// - x: `[rows, hidden]`; output: `[rows, vocabulary]`
    fn apply(
        &self,
        backend: &B,
        x: B::Tensor,
        table: &B::Matrix,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        let x = self.rows(backend, x)?;
        let scores = match &self.scores {
            Some(scores) => scores.apply(backend, &x)?,
            None => backend.linear(&x, table, None)?,
        };
        let scores = self.deltas.add(backend, &x, scores, adapted)?;
        match self.soft_cap {
            Some(cap) => backend.scale(backend.activate(backend.scale(scores, 1.0 / cap)?, Activation::Tanh)?, cap),
            None => Ok(scores),
        }
    }
}

impl<B: Backend> Model for Decoder<B> {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn cache_shape(&self) -> CacheShape {
        self.cache_shape
    }

    fn n_adapters(&self) -> usize {
        self.n_adapters
    }

    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        batch.check(&self.cache_shape, self.vocabulary)?;
        batch.check_adapters(self.n_adapters)?;
        let backend = &self.backend;
        let mut x = self.input.apply(backend, batch)?;
        let positions = batch.positions();
        let [global, local] = &self.ropes;
        let angles = |rope: &Option<RopeTable>| {
            let angles = rope.as_ref().map(|rope| backend.angles(&positions, &rope.frequencies, rope.magnitude));
            angles.transpose()
        };
        let angles = [angles(global)?, angles(local)?];
        let mut adapted = Adapted::of(batch, &self.adapters);
        let last = self.layers.len().saturating_sub(1);
        for (nth, layer) in self.layers.iter().enumerate() {
            let mut attended = layer.attend(backend, &x, &angles, &adapted, (batch, &mut self.cache))?;
            if nth == last {
                // Keys and values of all rows are stored; from here on only rows whose scores are wanted matter.
                if batch.logit_rows.is_empty() {
                    return Logits::new(self.vocabulary, Vec::new());
                }
                attended = backend.rows(&attended, &batch.logit_rows)?;
                x = backend.rows(&x, &batch.logit_rows)?;
                adapted = adapted.only(&batch.logit_rows);
            }
            x = layer.finish(backend, x, &attended, &adapted)?;
        }
        let scores = self.output.apply(backend, x, &self.input.table, &adapted)?;
        Logits::new(self.vocabulary, backend.to_host(&scores)?)
    }
}
