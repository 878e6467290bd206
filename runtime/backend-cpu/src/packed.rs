//! Attention both ways within packed sequences.
//!
//! A unit of work is a few rows of one sequence times one head. A row's arithmetic does not depend on other sequences.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::{BackendError, Disentangled, PackedAttention, attention::distance_index};

use crate::{
    parallel::for_each_chunk,
    pool::Pool,
    simd::{Kernel, dispatch, dot},
    softmax::Running,
    tensor::Tensor,
    tile::{Rows, products, weighted_sums},
};

/// Rows of a unit.
const TILE: usize = 8;
/// Keys, and values, that are gone through for all rows of a unit before the next ones: so many stay in the nearest cache.
const STRETCH: usize = 64;

struct Unit {
    /// The sequence: its first row, and how many it has.
    first_row: usize,
    length: usize,
    /// The unit's rows, counted from the sequence's first.
    from: usize,
    n_rows: usize,
    head: usize,
}

pub(crate) fn packed_attention(
    qkv: [&Tensor; 3],
    spec: &PackedAttention<'_, Tensor>,
    pool: &Pool,
) -> Result<Tensor, BackendError> {
    spec.check(qkv, Tensor::dims)?;
    let (units, head_dim) = (units(spec), spec.head_dim);
    // Each unit writes a stretch of its own; the rows are put in their order afterwards.
    let mut parts = vec![0f32; units.len() * TILE * head_dim];
    for_each_chunk(pool, &mut parts, TILE * head_dim, 2, |nth, out| {
        if let Some(unit) = units.get(nth) {
            dispatch(Attend { unit, qkv, spec, out: &mut out[..unit.n_rows * head_dim] });
        }
    });
    let mut out = Tensor::zeros(qkv[0].n_rows(), qkv[0].width);
    for (unit, part) in units.iter().zip(parts.chunks_exact(TILE * head_dim)) {
        for (row, part) in part.chunks_exact(head_dim).take(unit.n_rows).enumerate() {
            let at = ((unit.first_row + unit.from + row) * spec.n_heads + unit.head) * head_dim;
            if let Some(out) = out.values.get_mut(at..at + head_dim) {
                out.copy_from_slice(part);
            }
        }
    }
    Ok(out)
}

fn units(spec: &PackedAttention<'_, Tensor>) -> Vec<Unit> {
    let (mut units, mut first_row) = (Vec::new(), 0);
    for length in spec.lengths.iter().copied() {
        for from in (0..length).step_by(TILE) {
            let n_rows = TILE.min(length - from);
            units.extend((0..spec.n_heads).map(|head| Unit { first_row, length, from, n_rows, head }));
        }
        first_row += length;
    }
    units
}

struct Attend<'a> {
    unit: &'a Unit,
    qkv: [&'a Tensor; 3],
    spec: &'a PackedAttention<'a, Tensor>,
    /// `[n_rows, head_dim]`, zero.
    out: &'a mut [f32],
}

impl Attend<'_> {
    /// The head's part of the tensor's rows from `first` on.
    #[inline(always)]
    fn rows<'a>(&self, x: &'a Tensor, first: usize) -> Rows<'a, f32> {
        let (head_dim, stride) = (self.spec.head_dim, x.width);
        Rows { values: &x.values[first * stride + self.unit.head * head_dim..], stride, head_dim }
    }

    /// What a row sees of its sequence: the first, and one after the last.
    #[inline(always)]
    fn seen(&self, row: usize) -> (usize, usize) {
        let reach = self.spec.window.unwrap_or(self.unit.length);
        (row.saturating_sub(reach), (row + reach + 1).min(self.unit.length))
    }

    /// Turns a row's products with the keys from `from` on into scores.
    #[inline(always)]
    fn shape<const FMA: bool>(&self, scores: &mut [f32], row: usize, from: usize) {
        let Self { unit, spec, qkv: [q, k, _], .. } = self;
        if let Some(relative) = &spec.relative {
            let (q, k) = (self.rows(q, unit.first_row), self.rows(k, unit.first_row));
            for (key, score) in (from..).zip(scores.iter_mut()) {
                *score += self.of_distance::<FMA>(relative, (row, q.row(row)), (key, k.row(key)));
            }
        }
        for score in scores.iter_mut() {
            *score *= spec.scale;
        }
        if let Some(bias) = spec.bias {
            for (key, score) in (from..).zip(scores.iter_mut()) {
                *score += bias.values[unit.head * (2 * bias.reach + 1) + distance_index(row, key, bias.reach)];
            }
        }
    }

    /// What a query has in common with the distance's key, and a key with the distance's query.
    #[inline(always)]
    fn of_distance<const FMA: bool>(
        &self,
        relative: &Disentangled<'_, Tensor>,
        (row, q): (usize, &[f32]),
        (key, k): (usize, &[f32]),
    ) -> f32 {
        let bucket = relative.buckets[distance_index(row, key, relative.reach)] as usize;
        let of_key = relative.keys.map_or(0.0, |table| dot::<FMA>(q, self.rows(table, bucket).row(0)));
        of_key + relative.queries.map_or(0.0, |table| dot::<FMA>(k, self.rows(table, bucket).row(0)))
    }
}

impl Kernel for Attend<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (unit, head_dim, [q, k, v]) = (self.unit, self.spec.head_dim, self.qkv);
        let last = unit.from + unit.n_rows - 1;
        let (from, to) = (self.seen(unit.from).0, self.seen(last).1);
        let pitch = to - from;
        let q = self.rows(q, unit.first_row);
        let queries: Vec<&[f32]> = (unit.from..=last).map(|row| q.row(row)).collect();
        let mut scores = vec![0f32; unit.n_rows * pitch];
        for at in (0..pitch).step_by(STRETCH) {
            let keys = self.rows(k, unit.first_row + from + at);
            products::<FMA, f32>(&queries, keys, STRETCH.min(pitch - at), &mut scores[at..], pitch);
        }
        let mut sums = [1f32; TILE];
        for (nth, (scores, sum)) in scores.chunks_exact_mut(pitch).zip(&mut sums).enumerate() {
            let row = unit.from + nth;
            let (first, end) = self.seen(row);
            scores[..first - from].fill(0.0);
            scores[end - from..].fill(0.0);
            let scores = &mut scores[first - from..end - from];
            self.shape::<FMA>(scores, row, first);
            let mut running = Running::new(None);
            running.renew::<FMA>(scores, &mut []);
            *sum = running.sum;
        }
        for at in (0..pitch).step_by(STRETCH) {
            let values = self.rows(v, unit.first_row + from + at);
            weighted_sums::<FMA, f32>(&scores[at..], pitch, values, STRETCH.min(pitch - at), self.out);
        }
        for (out, sum) in self.out.chunks_exact_mut(head_dim).zip(sums) {
            for x in out.iter_mut() {
                *x /= sum;
            }
        }
    }
}
