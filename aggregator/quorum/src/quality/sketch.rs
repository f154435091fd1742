//! A distribution of spans in a few bytes, with a stated error, that can be merged.
//!
//! Spans are counted in buckets of growing width, 64 to each doubling. A quantile is told as the middle of its bucket, so
//! that it is off by at most 1/128 of itself (0.8 %), and exact below 128 us. The buckets are the same everywhere: to merge is
//! to add up, and a quantile of merged sketches is that of all spans together. Integers only, so that every machine agrees.

use quorate_proto::Micros;

/// Buckets to a doubling, as a power of two.
const DOUBLING_BITS: u32 = 6;

/// What is longer is counted as this long: 19 hours, above every timeout.
const SPAN_MAX: u64 = (1 << 36) - 1;

/// One bucket, by its number. Their order is that of the spans in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(u16);

/// A distribution of spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// How many are in each bucket that has any, in order.
    counts: Vec<(Bucket, u64)>,
}

impl Bucket {
    pub(super) fn of(span: Micros) -> Self {
        let span = span.0.min(SPAN_MAX);
        let digits = u64::BITS - span.leading_zeros();
        let shift = digits.saturating_sub(DOUBLING_BITS + 1);
        let number = (u64::from(shift) << DOUBLING_BITS) + (span >> shift);
        Self(u16::try_from(number).unwrap_or(u16::MAX))
    }

    fn middle(self) -> Micros {
        let shift = (self.0 >> DOUBLING_BITS).saturating_sub(1);
        let first = u64::from(self.0 - (shift << DOUBLING_BITS)) << shift;
        Micros(first + (1 << shift) / 2)
    }
}

impl Sketch {
    /// Counts a span.
    pub fn add(&mut self, span: Micros) {
        self.count_in(Bucket::of(span), 1);
    }

    pub(super) fn count_in(&mut self, bucket: Bucket, times: u64) {
        match self.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(index) => {
                if let Some((_, count)) = self.counts.get_mut(index) {
                    *count = count.saturating_add(times);
                }
            }
            Err(index) => self.counts.insert(index, (bucket, times)),
        }
    }

    /// Adds everything that another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            self.count_in(*bucket, *count);
        }
    }

    /// How many spans were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The span that `percent` of 100 do not exceed (the nearest rank), to 0.8 %; none where none was counted.
    pub fn quantile(&self, percent: u8) -> Option<Micros> {
        let rank = (u128::from(self.count()) * u128::from(percent)).div_ceil(100).max(1);
        let mut below = 0_u128;
        let is_there = |(_, count): &&(Bucket, u64)| {
            below += u128::from(*count);
            below >= rank
        };
        self.counts.iter().find(is_there).map(|(bucket, _)| bucket.middle())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(spans: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        spans.iter().for_each(|span| sketch.add(Micros(*span)));
        sketch
    }

    fn exact(spans: &[u64], percent: usize) -> u64 {
        let mut sorted = spans.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
    }

    /// Spans of every size, evenly over the sizes.
    fn spans() -> impl Strategy<Value = Vec<u64>> {
        let span = (0_u32..36, any::<u64>()).prop_map(|(bits, any)| any % (2_u64 << bits));
        prop::collection::vec(span, 1..200)
    }

    proptest! {
        #[test]
        fn quantiles_are_off_by_one_part_in_128_at_most(spans in spans(), percent in 0_u8..=100) {
            let told = of(&spans).quantile(percent).unwrap().0;
            let exact = exact(&spans, usize::from(percent));
            prop_assert!(told.abs_diff(exact) * 128 <= exact, "{told} for {exact}");
        }

        #[test]
        fn merged_is_as_counted_together(one in spans(), other in spans()) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            prop_assert_eq!(merged, of(&[one, other].concat()));
        }

        #[test]
        fn buckets_keep_the_order(one in 0..SPAN_MAX, other in 0..SPAN_MAX) {
            let bucket = |span| Bucket::of(Micros(span));
            prop_assert!((one <= other) == (bucket(one) <= bucket(other)) || bucket(one) == bucket(other));
            prop_assert_eq!(bucket(bucket(one).middle().0), bucket(one));
        }
    }

    #[test]
    fn nothing_and_absurd_spans() {
        assert_eq!(of(&[]).quantile(95), None);
        assert_eq!(of(&[0]).quantile(0), Some(Micros(0)));
        let longest = of(&[u64::MAX]).quantile(100).unwrap();
        assert!(longest.0 > SPAN_MAX - SPAN_MAX / 128 && longest.0 <= SPAN_MAX);
        assert_eq!(Bucket::of(Micros::MAX), Bucket(29 * 64 + 127), "the numbers are dense");
    }
}
