//! Sums of rows.

use alcazar_core::BackendError;

use crate::{
    parallel::for_each_row,
    pool::Pool,
    tensor::{Tensor, misfit},
};

pub(crate) fn add(mut a: Tensor, b: &Tensor, pool: &Pool) -> Result<Tensor, BackendError> {
    a.check_same("add", b)?;
    let width = a.width;
    for_each_row(pool, &mut a.values, width, |row, a| {
        a.iter_mut().zip(&b.values[row * width..]).for_each(|(a, b)| *a += b);
    });
    Ok(a)
}

/// The bias must be as wide as a row.
pub(crate) fn add_bias(x: &mut Tensor, bias: &[f32], pool: &Pool) {
    let width = x.width;
    for_each_row(pool, &mut x.values, width, |_, x| x.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias));
}

pub(crate) fn scale(mut x: Tensor, factor: f32, pool: &Pool) -> Tensor {
    let width = x.width;
    for_each_row(pool, &mut x.values, width, |_, x| x.iter_mut().for_each(|x| *x *= factor));
    x
}

pub(crate) fn rows(x: &Tensor, rows: &[usize]) -> Result<Tensor, BackendError> {
    let mut values = Vec::with_capacity(rows.len() * x.width);
    for row in rows {
        let Some(row) = x.values.get(row * x.width..(row + 1) * x.width) else {
            return Err(misfit("rows", format!("row {row}"), format!("a row of {:?}", x.dims())));
        };
        values.extend_from_slice(row);
    }
    Ok(Tensor { values, width: x.width })
}

/// See [`alcazar_core::Backend::add_rows`].
pub(crate) fn add_rows(mut acc: Tensor, rows: &[usize], weights: &[f32], y: &Tensor) -> Result<Tensor, BackendError> {
    let width = acc.width;
    y.check_width("add_rows", width)?;
    if y.n_rows() != rows.len() || weights.len() != rows.len() {
        let found = format!("{:?}, {} rows, {} weights", y.dims(), rows.len(), weights.len());
        return Err(misfit("add_rows", found, "as many of each".to_owned()));
    }
    for ((row, weight), y) in rows.iter().zip(weights).zip(y.values.chunks_exact(width)) {
        let dims = acc.dims();
        let Some(acc) = acc.values.get_mut(row * width..(row + 1) * width) else {
            return Err(misfit("add_rows", format!("row {row}"), format!("a row of {dims:?}")));
        };
        acc.iter_mut().zip(y).for_each(|(acc, y)| *acc += weight * y);
    }
    Ok(acc)
}
