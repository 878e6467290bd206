//! What adapters add to a product while a batch is computed.

use std::collections::BTreeMap;

use alcazar_core::{AdapterId, Backend, BackendError, Batch};

/// One adapter's share in a matrix: `scale · B (A x)`.
pub(crate) struct Delta<B: Backend> {
    pub(crate) adapter: AdapterId,
    /// Where A is among the model's; the parts of a fused matrix share one.
    pub(crate) down: usize,
    /// B, `[out, rank]`.
    pub(crate) up: B::Matrix,
    pub(crate) scale: f32,
}

/// The shares of all adapters that change a matrix.
pub(crate) struct Deltas<B: Backend>(Vec<Delta<B>>);

impl<B: Backend> Default for Deltas<B> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Which rows of a batch use which adapter.
pub(crate) struct Adapted<'a, B: Backend> {
    /// A of every adapter's every matrix, `[rank, in]` each.
    downs: &'a [B::Matrix],
    /// Ascending, without the rows that use none.
    rows: Vec<(AdapterId, Vec<usize>)>,
    n_rows: usize,
}

impl<'a, B: Backend> Adapted<'a, B> {
    /// No row uses any.
    pub(crate) const fn none() -> Self {
        Self { downs: &[], rows: Vec::new(), n_rows: 0 }
    }

    pub(crate) fn of(batch: &Batch, downs: &'a [B::Matrix]) -> Self {
        let mut rows: BTreeMap<AdapterId, Vec<usize>> = BTreeMap::new();
        for sequence in &batch.sequences {
            if let Some(adapter) = sequence.adapter {
                rows.entry(adapter).or_default().extend(sequence.first_row..sequence.first_row + sequence.n_tokens);
            }
        }
        Self { downs, rows: rows.into_iter().collect(), n_rows: batch.tokens.len() }
    }

    /// The same when only some rows, ascending, go on.
    pub(crate) fn only(&self, kept: &[usize]) -> Self {
        let places = |rows: &[usize]| {
            let place = |(at, row): (usize, &usize)| rows.binary_search(row).is_ok().then_some(at);
            kept.iter().enumerate().filter_map(place).collect::<Vec<_>>()
        };
        let rows = self.rows.iter().map(|(adapter, rows)| (*adapter, places(rows)));
        let rows = rows.filter(|(_, rows)| !rows.is_empty()).collect();
        Self { downs: self.downs, rows, n_rows: kept.len() }
    }
}

impl<B: Backend> Deltas<B> {
    pub(crate) fn push(&mut self, delta: Delta<B>) {
        self.0.push(delta);
    }

    /// Adds each adapter's share to its rows; the others stay as they are, bit for bit.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; y and output: `[rows, out]`
    pub(crate) fn add(
        &self,
        backend: &B,
        x: &B::Tensor,
        mut y: B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        for (adapter, rows) in &adapted.rows {
            let Some(delta) = self.0.iter().find(|delta| delta.adapter == *adapter) else { continue };
            let Some(down) = adapted.downs.get(delta.down) else { continue };
            let narrow = if rows.len() == adapted.n_rows {
                backend.linear(x, down, None)?
            } else {
                backend.linear(&backend.rows(x, rows)?, down, None)?
            };
            let wide = backend.linear(&narrow, &delta.up, None)?;
            y = backend.add_rows(y, rows, &vec![delta.scale; rows.len()], &wide)?;
        }
        Ok(y)
    }
}
