//! Kubernetes quantities by value: `1`, `1000m` and `1e0` are the same. Pure.

use std::cmp::Ordering;

use serde_json::Value;

/// An exact decimal: `digits` thousandths of a millionth (10⁻⁹), which is as fine as Kubernetes stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

/// Nothing.
pub const ZERO: Amount = Amount(0);
const NANO: i128 = 1_000_000_000;

impl Amount {
    /// Whole units, rounded up as Kubernetes does; `None` beyond 64 bits.
    #[must_use]
    pub fn ceil(self) -> Option<i64> {
        let whole = self.0.div_euclid(NANO) + i128::from(self.0.rem_euclid(NANO) != 0);
        i64::try_from(whole).ok()
    }
}

/// `None` when the text is no quantity, or one beyond any use.
#[must_use]
pub fn parse(text: &str) -> Option<Amount> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let nanos = decimal(number)?;
    let (numerator, denominator) = scale(suffix)?;
    let scaled = nanos.checked_mul(numerator)?;
    let rest = i128::from(scaled % denominator != 0);
    Some(Amount(scaled / denominator + rest))
}

/// Whether two JSON scalars are the same quantity.
#[must_use]
pub fn same(left: &Value, right: &Value) -> bool {
    let of = |value: &Value| match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        _ => None,
    };
    matches!((of(left), of(right)), (Some(left), Some(right)) if left.cmp(&right) == Ordering::Equal)
}

/// A signed decimal number in nano-units, digits beyond the ninth rounded up.
fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 20 {
        return None;
    }
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let kept = fraction.get(..9).unwrap_or(fraction);
    let mut nanos: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    nanos *= 10i128.pow(u32::try_from(9 - kept.len()).ok()?);
    if fraction.bytes().skip(9).any(|byte| byte != b'0') {
        nanos += 1;
    }
    Some(sign * (whole * NANO + nanos))
}

/// Numerator and denominator of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let decimal = |power: u32| Some((10i128.pow(power), 1));
    let binary = |power: u32| Some((1i128 << power, 1));
    match suffix {
        "n" => Some((1, NANO)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "" => Some((1, 1)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let size = 10i128.checked_pow(power.unsigned_abs()).filter(|_| power.abs() <= 18)?;
    Some(if power < 0 { (1, size) } else { (size, 1) })
}
