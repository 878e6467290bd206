//! The elements of a view in order, a band of them at a time.

use super::{Tensor, product, row_major};
use crate::{Error, error::excerpt, file::SourceFile};

/// Bytes of a band. What fetch may take is 512 MiB, whatever the size of a tensor.
pub(super) const BAND: u64 = 16 << 20;

/// Bytes that are read ahead where elements lie close together.
const WINDOW: u64 = 1 << 20;

/// Where the elements of a storage come from.
pub(super) enum Elements<'a> {
    /// Bytes of the file from here.
    File { file: &'a SourceFile, offset: u64 },
    /// The whole storage.
    Memory { file: &'a SourceFile, bytes: &'a [u8] },
}

/// Part of a view: its shape, its strides and where it begins, in elements.
struct Part {
    shape: Vec<u64>,
    strides: Vec<u64>,
    start: u64,
}

impl Elements<'_> {
    /// Some elements in a row.
    fn run(&self, tensor: &Tensor, start: u64, n: u64) -> Result<Vec<u8>, Error> {
        let width = tensor.element.bytes();
        let place = start.checked_mul(width).zip(n.checked_mul(width));
        let Some((begin, n_bytes)) = place else { return Err(beyond(tensor, self.file())) };
        match self {
            Self::File { file, offset } => file.bytes_at(offset.saturating_add(begin), n_bytes),
            Self::Memory { bytes, .. } => {
                let range = usize::try_from(begin).ok().zip(usize::try_from(begin.saturating_add(n_bytes)).ok());
                let part = range.and_then(|(begin, end)| bytes.get(begin..end));
                part.map(<[u8]>::to_vec).ok_or_else(|| beyond(tensor, self.file()))
            }
        }
    }

    fn file(&self) -> &SourceFile {
        match self {
            Self::File { file, .. } | Self::Memory { file, .. } => file,
        }
    }
}

/// Gives all elements to `out`, band by band; a band is larger than `band_bytes` only where one number is.
pub(super) fn each<E: From<Error>>(
    tensor: &Tensor,
    elements: &Elements<'_>,
    band_bytes: u64,
    mut out: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let width = tensor.element.bytes();
    // The first axis behind which a row fits a band; it is cut, and those before it are walked.
    let fits = |axis: &usize| {
        let row = product(tensor.shape.get(axis + 1..).unwrap_or_default());
        row.and_then(|row| row.checked_mul(width)).is_some_and(|row| row <= band_bytes)
    };
    let axis = (0..tensor.shape.len()).find(fits).unwrap_or(0);
    let row = product(tensor.shape.get(axis + 1..).unwrap_or_default()).unwrap_or(1).saturating_mul(width).max(1);
    let n_rows = tensor.shape.get(axis).map_or(1, |n| *n as u64);
    let rows_at_once = (band_bytes / row).clamp(1, n_rows.max(1));
    let before: Vec<u64> = tensor.shape.iter().take(axis).map(|n| *n as u64).collect();
    let stride = tensor.strides.get(axis).copied().unwrap_or(0);
    for nth in 0..before.iter().product::<u64>() {
        let start = tensor.start.saturating_add(offset_of(nth, &before, &tensor.strides));
        let mut first = 0;
        while first < n_rows {
            let n = rows_at_once.min(n_rows - first);
            let rest = tensor.shape.iter().skip(axis + 1).map(|n| *n as u64);
            let part = Part {
                shape: std::iter::once(n).chain(rest).take(tensor.shape.len().max(1)).collect(),
                strides: tensor.strides.get(axis..).unwrap_or_default().to_vec(),
                start: start.saturating_add(first.saturating_mul(stride)),
            };
            out(band(tensor, elements, &part)?)?;
            first += n;
        }
    }
    Ok(())
}

/// Offset of the `nth` index, row-major, of these axes.
fn offset_of(nth: u64, shape: &[u64], strides: &[u64]) -> u64 {
    let (mut rest, mut offset) = (nth, 0u64);
    for (n, stride) in shape.iter().zip(strides).rev() {
        offset = offset.saturating_add((rest % (*n).max(1)).saturating_mul(*stride));
        rest /= (*n).max(1);
    }
    offset
}

/// Elements of the storage that were read last.
#[derive(Default)]
struct Window {
    first: u64,
    n: u64,
    bytes: Vec<u8>,
}

fn band(tensor: &Tensor, elements: &Elements<'_>, part: &Part) -> Result<Vec<u8>, Error> {
    let failed = || beyond(tensor, elements.file());
    let width = usize::try_from(tensor.element.bytes()).map_err(|_| failed())?;
    let shape = part.shape.iter().map(|n| usize::try_from(*n).ok()).collect::<Option<Vec<_>>>().ok_or_else(failed)?;
    let n_bytes = product(&shape).and_then(|n| usize::try_from(n).ok()?.checked_mul(width)).ok_or_else(failed)?;
    let mut out = vec![0; n_bytes];
    // Axes as the storage has them: size, step there, step here; the smallest step of the storage last.
    let to_steps = row_major(&shape).ok_or_else(failed)?;
    let steps = part.strides.iter().copied().zip(to_steps);
    let mut axes: Vec<(u64, u64, u64)> = part.shape.iter().zip(steps).map(|(n, (from, to))| (*n, from, to)).collect();
    axes.sort_by_key(|(_, from, _)| std::cmp::Reverse(*from));
    let (n_inner, step, to_step) = axes.pop().unwrap_or((1, 1, 1));
    let run = n_inner.saturating_sub(1).saturating_mul(step).saturating_add(1);
    let is_dense = axes.last().is_some_and(|(_, step, _)| *step <= run.saturating_mul(4));
    let ahead = if is_dense { run.max(WINDOW / tensor.element.bytes()) } else { run };
    let last = axes.iter().fold(run, |end, (n, step, _)| end.saturating_add(n.saturating_sub(1).saturating_mul(*step)));
    let of = |part: fn(&(u64, u64, u64)) -> u64| axes.iter().map(part).collect::<Vec<u64>>();
    let (sizes, from_steps, to_steps) = (of(|axis| axis.0), of(|axis| axis.1), of(|axis| axis.2));
    let mut window = Window::default();
    for nth in 0..sizes.iter().product::<u64>() {
        let (from, to) = (offset_of(nth, &sizes, &from_steps), offset_of(nth, &sizes, &to_steps));
        if from < window.first || from.saturating_add(run) > window.first.saturating_add(window.n) {
            let n = ahead.min(last.saturating_sub(from)).max(run);
            let bytes = elements.run(tensor, part.start.saturating_add(from), n)?;
            window = Window { first: from, n, bytes };
        }
        for k in 0..n_inner {
            let at = (from - window.first).saturating_add(k.saturating_mul(step));
            let source = slot(at, width).and_then(|range| window.bytes.get(range)).ok_or_else(failed)?;
            let at = to.saturating_add(k.saturating_mul(to_step));
            slot(at, width).and_then(|range| out.get_mut(range)).ok_or_else(failed)?.copy_from_slice(source);
        }
    }
    Ok(out)
}

fn slot(at: u64, width: usize) -> Option<std::ops::Range<usize>> {
    let begin = usize::try_from(at).ok()?.checked_mul(width)?;
    Some(begin..begin.checked_add(width)?)
}

fn beyond(tensor: &Tensor, file: &SourceFile) -> Error {
    let found = format!("shape {:?}, strides {:?} of {}", tensor.shape, tensor.strides, excerpt(&tensor.name));
    Error::malformed(file.path(), 0, found, "elements within the storage")
}
