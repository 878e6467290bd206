//! The result of a product, whose columns several threads write.

use std::marker::PhantomData;

/// Rows of `width` numbers.
pub(super) struct Columns<'a> {
    first: *mut f32,
    n_rows: usize,
    width: usize,
    of: PhantomData<&'a mut [f32]>,
}

// SAFETY: what is shared is a way to write, and whoever writes promises that nobody else writes there.
#[expect(unsafe_code, reason = "a tile's columns lie apart from each other, so that no slice has them")]
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    pub(super) const fn new(out: &'a mut [f32], n_rows: usize, width: usize) -> Self {
        assert!(n_rows * width <= out.len());
        Self { first: out.as_mut_ptr(), n_rows, width, of: PhantomData }
    }

    /// Writes to `row` from `column` on what of `values` there is room for.
    ///
    /// # Safety
    /// No other thread writes to these columns.
    #[expect(unsafe_code, reason = "the caller knows which columns are its own")]
    pub(super) unsafe fn write(&self, row: usize, column: usize, values: &[f32]) {
        let n = values.len().min(self.width.saturating_sub(column));
        if row < self.n_rows {
            // SAFETY: rows and columns are within what `out` has, and nobody else writes there.
            unsafe {
                std::ptr::copy_nonoverlapping(values.as_ptr(), self.first.add(row * self.width + column), n);
            }
        }
    }
}
