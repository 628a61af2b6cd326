//! Several measurements of one value: median and range.

use std::fmt;

/// Measurements, sorted, at least one.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    sorted: Vec<f64>,
}

impl Spread {
    /// Sorts measurements; `None` without a measurement.
    pub(crate) fn of(measured: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = measured.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then_some(Self { sorted })
    }

    /// Returns the median.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            return self.sorted[middle];
        }
        f64::midpoint(self.sorted[middle - 1], self.sorted[middle])
    }

    /// Returns the number of measurements.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    fn ends(&self) -> (f64, f64) {
        (self.sorted[0], self.sorted[self.sorted.len() - 1])
    }

    /// Returns the range with this number of decimals.
    pub(crate) fn range(&self, decimals: usize) -> String {
        let (least, most) = self.ends();
        format!("{}–{}", number(least, decimals), number(most, decimals))
    }
}

impl fmt::Display for Spread {
    /// Writes median and range; the precision is the number of decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(0);
        write!(f, "{} ({})", number(self.median(), decimals), self.range(decimals))
    }
}

/// Formats a number with thousands separators: `12,345.6`.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut grouped = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// Converts a count for display.
pub(crate) fn float(count: u64) -> f64 {
    // Exact up to 2^53; further digits are not shown.
    #[allow(clippy::cast_precision_loss, reason = "shown with a few digits")]
    let value = count as f64;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_or_the_mean_of_two() {
        let median = |measured: &[f64]| Spread::of(measured.iter().copied()).unwrap().median();
        assert_eq!(median(&[5.0, 1.0, 3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]).to_bits(), 3.0_f64.to_bits());
        assert!(Spread::of([]).is_none());
    }

    #[test]
    fn spread_shows_median_and_range() {
        let spread = Spread::of([12_345.0, 999.0, 1_000.4]).unwrap();
        assert_eq!(format!("{spread}"), "1,000 (999–12,345)");
        assert_eq!(format!("{spread:.1}"), "1,000.4 (999.0–12,345.0)");
    }

    #[test]
    fn thousands_are_separated() {
        for (value, shown) in
            [(0.0, "0"), (999.0, "999"), (1_000.0, "1,000"), (-1_234_567.0, "-1,234,567")]
        {
            assert_eq!(number(value, 0), shown);
        }
    }
}
