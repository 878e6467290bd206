//! Attention: projections, norms of heads, rotation, the cache.

use alcazar_core::{
    AttentionSpec, Backend, BackendError, Batch, DecoderConfig, RopeStyle,
    config::{Position, QkNorm, Rotation, alibi_slopes},
};

use super::{Place, norm::Norm};
use crate::{
    LoadError,
    adapter::{Adapted, Deltas, Part},
    names::Projections,
    weights::{Linear, RawLinear},
};

pub(super) struct Attention<B: Backend> {
    /// Of queries, keys and values.
    projections: [Linear<B>; 3],
    output: Linear<B>,
    /// Of queries and keys.
    qk_norms: Option<[Norm<B>; 2]>,
    rotation: Rotation,
    style: Option<RopeStyle>,
    slopes: Vec<f32>,
    sinks: Vec<f32>,
    /// But for slopes and sinks.
    spec: AttentionSpec<'static>,
}

impl<B: Backend> Attention<B> {
    pub(super) fn load(place: &Place<'_, B>, config: &DecoderConfig, nth: usize) -> Result<Self, LoadError> {
        let (loader, names) = (place.loader, place.names);
        let output = [config.hidden, config.q_width()];
        let widths = match config.attention.qk_norm {
            QkNorm::None => None,
            QkNorm::Heads => Some([config.head_dim; 2]),
            QkNorm::Whole => Some([config.q_width(), config.kv_width()]),
        };
        let qk_norms = widths.map(|[q, k]| -> Result<_, LoadError> {
            let norm = |name, width| Norm::load(place, name, width, &config.block);
            Ok([norm(names.qk_norms[0], q)?, norm(names.qk_norms[1], k)?])
        });
        let sinks = if config.attention.has_sinks {
            loader.floats(&place.name(names.sinks), config.n_heads)?
        } else {
            Vec::new()
        };
        let (style, slopes) = match &config.position {
            Position::Rotary { global, .. } => (Some(global.style), Vec::new()),
            Position::Learned { .. } => (None, Vec::new()),
            Position::Alibi { scale } => {
                (None, alibi_slopes(config.n_heads).iter().map(|slope| slope * scale).collect())
            }
        };
        let layer = config.layers.get(nth);
        Ok(Self {
            projections: projections(place, config)?,
            output: loader.put(&place.linear(names.attention_output, output)?)?,
            qk_norms: qk_norms.transpose()?,
            rotation: layer.map_or(Rotation::Global, |layer| layer.rotation),
            style,
            slopes,
            sinks,
            spec: AttentionSpec {
                scale: config.scale_of_layer(nth),
                window: layer.and_then(|layer| layer.window),
                soft_cap: config.attention.soft_cap,
                ..AttentionSpec::plain(nth, config.n_heads, config.n_kv_heads, config.head_dim)
            },
        })
    }

    pub(super) const fn share_cache(&mut self) {
        self.spec.layer = 0;
    }

    /// # Shapes
    /// - x: `[rows, hidden]`; output: `[rows, n_heads · head_dim]`
    pub(super) fn attend(
        &self,
        backend: &B,
        x: &B::Tensor,
        angles: &[Option<B::Angles>; 2],
        adapted: &Adapted<'_, B>,
        (batch, cache): (&Batch, &mut B::Cache),
    ) -> Result<B::Tensor, BackendError> {
        let [q, k, v] = Linear::apply_each(self.projections.each_ref(), backend, x)?;
        let angles = match self.rotation {
            Rotation::Global => angles[0].as_ref(),
            Rotation::Local => angles[1].as_ref(),
            Rotation::None => None,
        };
        let placed = |projection: &Linear<B>, y: B::Tensor, norm: Option<&Norm<B>>| {
            let y = projection.adapted(backend, x, y, adapted)?;
            let x = match norm {
                Some(norm) => norm.apply(backend, &y)?,
                None => y,
            };
            match (angles, self.style) {
                (Some(angles), Some(style)) => backend.rope(x, angles, self.spec.head_dim, style),
                _ => Ok(x),
            }
        };
        let [q_norm, k_norm] = match &self.qk_norms {
            Some([q, k]) => [Some(q), Some(k)],
            None => [None, None],
        };
        let [q_part, k_part, v_part] = &self.projections;
        let (q, k) = (placed(q_part, q, q_norm)?, placed(k_part, k, k_norm)?);
        let v = v_part.adapted(backend, x, v, adapted)?;
        let spec = AttentionSpec { slopes: &self.slopes, sinks: &self.sinks, ..self.spec };
        backend.attention([&q, &k, &v], cache, &spec, batch)
    }

    /// # Shapes
    /// - attended: `[rows, n_heads · head_dim]`; output: `[rows, hidden]`
    pub(super) fn finish(
        &self,
        backend: &B,
        attended: &B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        self.output.adapt(backend, attended, adapted)
    }

    /// What adapters add to a part; `None`: it is none of attention's.
    pub(super) fn deltas(&mut self, part: Part) -> Option<&mut Deltas<B>> {
        let [q, k, v] = &mut self.projections;
        let linear = match part {
            Part::Query => q,
            Part::Key => k,
            Part::Value => v,
            Part::AttentionOutput => &mut self.output,
            _ => return None,
        };
        Some(&mut linear.deltas)
    }
}

fn projections<B: Backend>(place: &Place<'_, B>, config: &DecoderConfig) -> Result<[Linear<B>; 3], LoadError> {
    let loader = place.loader;
    let (q, kv) = (config.q_width(), config.kv_width());
    let separate = |[q_name, k_name, v_name]: [&str; 3]| -> Result<_, LoadError> {
        let one = |name, width| loader.put(&place.linear(name, [width, config.hidden])?);
        Ok([one(q_name, q)?, one(k_name, kv)?, one(v_name, kv)?])
    };
    let parts = |name: &str, rows: [Vec<usize>; 3]| -> Result<_, LoadError> {
        let fused: RawLinear<'_> = place.linear(name, [q + 2 * kv, config.hidden])?;
        let part = |rows: &Vec<usize>| loader.put(&fused.rows(rows.iter().copied())?);
        let [q, k, v] = rows.each_ref().map(part);
        Ok([q?, k?, v?])
    };
    let stacked = || [(0..q).collect(), (q..q + kv).collect(), (q + kv..q + 2 * kv).collect()];
    match place.names.projections {
        Projections::Stacked(name) => parts(name, stacked()),
        Projections::Grouped(name) => parts(name, grouped(config)),
        Projections::Either(_, name) if loader.has(&format!("{}.weight", place.name(name))) => parts(name, stacked()),
        Projections::Separate(names) | Projections::Either(names, _) => separate(names),
    }
}

/// Rows of queries, keys and values where each key-value head has its own next to it.
pub(crate) fn grouped(config: &DecoderConfig) -> [Vec<usize>; 3] {
    let n_each = config.n_heads / config.n_kv_heads;
    let [mut q, mut k, mut v] = [const { Vec::new() }; 3];
    for group in 0..config.n_kv_heads {
        let head = |nth: usize| {
            let at = (group * (n_each + 2) + nth) * config.head_dim;
            at..at + config.head_dim
        };
        q.extend((0..n_each).flat_map(head));
        k.extend(head(n_each));
        v.extend(head(n_each + 1));
    }
    [q, k, v]
}
