//! Exponential draws without a logarithm: the ziggurat of Marsaglia and Tsang ("The Ziggurat Method for Generating Random
//! Variables", Journal of Statistical Software 5(8), 2000).
//!
//! The area under `exp(-x)` is covered by 256 layers of equal area, each a rectangle that lies nearly all under the curve; the
//! lowest has the tail besides. A layer is drawn, and a point of it: where the next layer above reaches as far, which it does
//! 99 times of 100, the point is under the curve, and otherwise that is looked at. The distribution is exact.

/// Layers.
const LAYERS: usize = 256;

/// Where the tail begins, for so many layers.
const TAIL: f64 = 7.697_117_470_131_05;

/// Draws exponential times.
pub(super) struct Exponential {
    /// How far each layer reaches, from the lowest up. The lowest reaches as far as if its tail were rectangular.
    reaches: [f64; LAYERS + 1],
}

impl Exponential {
    pub(super) fn new() -> Self {
        let height = (-TAIL).exp();
        // That of the rectangle, and that of the tail.
        let area = TAIL * height + height;
        let (mut reach, mut reaches) = (TAIL, [0.0; LAYERS + 1]);
        for (layer, reaches) in reaches.iter_mut().enumerate() {
            *reaches = match layer {
                0 => area / height,
                LAYERS => 0.0,
                _ => reach,
            };
            if layer > 0 {
                // So much higher, and no wider than the curve is there.
                reach = -(area / reach + (-reach).exp()).ln();
            }
        }
        Self { reaches }
    }

    /// A draw of mean 1.
    #[inline]
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> f64 {
        loop {
            let bits = random.u64(..);
            let layer = (bits & 0xFF) as usize;
            let (Some(reach), Some(above)) = (self.reaches.get(layer), self.reaches.get(layer + 1)) else {
                continue;
            };
            let x = (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64) * reach;
            if x < *above {
                return x;
            }
            if layer == 0 {
                // It has no memory: the tail is the whole again.
                return TAIL - (1.0 - random.f64()).ln();
            }
            let (low, high) = ((-reach).exp(), (-above).exp());
            if low + (high - low) * random.f64() < (-x).exp() {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers end where the curve does, at height 1.
    #[test]
    fn layers_are_of_equal_area() {
        let reaches = Exponential::new().reaches;
        assert!(reaches.is_sorted_by(|lower, upper| lower > upper), "{reaches:?}");
        let area = reaches[0] * (-TAIL).exp();
        for layer in 1..LAYERS {
            let height = (-reaches[layer + 1]).exp() - (-reaches[layer]).exp();
            assert!((reaches[layer] * height / area - 1.0).abs() < 1e-6, "{layer}");
        }
    }

    /// Four million draws: in each of forty slices, up to where one in a million lies, as many as belong there.
    #[test]
    fn draws_are_exponential() {
        const DRAWS: f64 = 4e6;
        let (exponential, mut random) = (Exponential::new(), fastrand::Rng::with_seed(7));
        let mut slices = [0.0; 40];
        let mut sum = 0.0;
        for _ in 0..DRAWS as u64 {
            let drawn = exponential.draw(&mut random);
            sum += drawn;
            if let Some(slice) = slices.get_mut((drawn * 3.0) as usize) {
                *slice += 1.0;
            }
        }
        assert!((sum / DRAWS - 1.0).abs() < 0.002, "{}", sum / DRAWS);
        for (slice, count) in slices.iter().enumerate() {
            let edge = |slice: usize| (-(slice as f64) / 3.0).exp();
            let expected = DRAWS * (edge(slice) - edge(slice + 1));
            assert!(
                (count - expected).abs() < 5.0 * expected.sqrt() + 2.0,
                "{slice}: {count}, not {expected}"
            );
        }
    }
}
