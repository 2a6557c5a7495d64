//! Figures that were taken several times.

/// The median of some figures, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self { median: quantile(&sorted, 0.5)?, min: *sorted.first()?, max: *sorted.last()? })
    }

    /// A figure that was taken once.
    pub(crate) fn once(figure: f64) -> Self {
        Self { median: figure, min: figure, max: figure }
    }

    /// Ours by theirs, repetition by repetition: what disturbs one mostly disturbs its neighbour.
    pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }
}

/// The figure below which a share of all lies; they are in order.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

/// The median and the 99th percentile.
pub(crate) fn p50_p99(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |share| quantile(&figures, share).unwrap_or(f64::NAN);
    (at(0.5), at(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_made_of_neighbours() {
        let ratios = Spread::ratios(&[2.0, 40.0, 3.0], &[1.0, 10.0, 1.0]);
        assert_eq!(ratios, Some(Spread { median: 3.0, min: 2.0, max: 4.0 }));
    }

    #[test]
    fn of_nothing_there_is_no_median() {
        assert_eq!(Spread::of([]), None);
        assert!(p50_p99(Vec::new()).0.is_nan());
    }

    #[test]
    fn one_of_a_hundred_may_be_worse_than_the_99th_percentile() {
        let figures = (1..=101).map(f64::from).collect();
        assert_eq!(p50_p99(figures), (51.0, 100.0));
    }
}
