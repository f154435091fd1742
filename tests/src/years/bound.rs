//! What a count of rare events says about their rate: exact Poisson bounds.

/// The mean count above which seeing `count` events or fewer has a chance below 5 %: the upper end of the one-sided 95 %
/// interval, which is half the 0.95 quantile of the chi-square distribution with `2 count + 2` degrees of freedom. For
/// no event it is `-ln 0.05` = 3.0.
pub fn upper(count: u64) -> f64 {
    quantile(count, 0.05)
}

/// The mean count below which seeing `count` events or more has a chance below 5 %; 0 for no event.
pub fn lower(count: u64) -> f64 {
    match count {
        0 => 0.0,
        count => quantile(count - 1, 0.95),
    }
}

/// The mean for which a Poisson variable is at most `count` with a probability: by bisection, as that probability falls
/// with the mean.
fn quantile(count: u64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0 + 2.0 * count as f64);
    for _ in 0..100 {
        let mean = (low + high) / 2.0;
        if at_most(count, mean) > probability {
            low = mean;
        } else {
            high = mean;
        }
    }
    (low + high) / 2.0
}

/// The probability that a Poisson variable of a mean is at most `count`. Terms are summed from the largest down,
/// relative to it, so that none overflows.
fn at_most(count: u64, mean: f64) -> f64 {
    let ln_term = |k: u64| -mean + k as f64 * mean.ln() - (1..=k).map(|i| (i as f64).ln()).sum::<f64>();
    let (mut term, mut sum) = (1.0, 0.0);
    for k in (0..=count).rev() {
        sum += term;
        term *= k as f64 / mean;
    }
    (ln_term(count) + f64::ln(sum)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of chi-square quantiles as tables have them.
    #[test]
    fn bounds_are_those_of_tables() {
        for (count, lower_wanted, upper_wanted) in [
            (0, 0.0, 2.9957),
            (1, 0.0513, 4.7439),
            (2, 0.3554, 6.2958),
            (10, 5.4254, 16.9622),
            (100, 84.139, 118.079),
        ] {
            assert!((lower(count) - lower_wanted).abs() < 1e-3, "{count}: {}", lower(count));
            assert!((upper(count) - upper_wanted).abs() < 1e-3, "{count}: {}", upper(count));
        }
    }
}
