//! A softmax that runs along with the scores.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use crate::simd::exp;

/// One query's running softmax.
pub(crate) struct Running {
    maximum: f32,
    pub(crate) sum: f32,
}

impl Running {
    /// A sink is a score without a value.
    #[inline(always)]
    pub(crate) fn new(sink: Option<f32>) -> Self {
        sink.map_or(Self { maximum: f32::NEG_INFINITY, sum: 0.0 }, |maximum| Self { maximum, sum: 1.0 })
    }

    /// Turns a block's scores into weights, and what was summed so far to the new maximum.
    #[inline(always)]
    pub(crate) fn renew<const FMA: bool>(&mut self, scores: &mut [f32], out: &mut [f32]) {
        let maximum =
            scores.iter().fold(self.maximum, |maximum, score| if *score > maximum { *score } else { maximum });
        if maximum > self.maximum {
            let factor = exp::<FMA>(self.maximum - maximum);
            self.sum *= factor;
            for x in out.iter_mut() {
                *x *= factor;
            }
            self.maximum = maximum;
        }
        for score in scores.iter_mut() {
            *score = exp::<FMA>(*score - maximum);
        }
        self.sum += scores.iter().sum::<f32>();
    }
}
