//! Numbers as servers write them, exact: block numbers in hexadecimal, prices in decimal texts, counters above 2^53.

use std::{cmp::Ordering, fmt};

/// Digits behind the point that are kept.
const FRACTION_DIGITS: usize = 38;

/// Characters of a number that is read; the longest of 128 bits has 39 digits.
const CHARACTERS_MAX: usize = 128;

/// A decimal number of 128 bits before the point, and 38 digits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    whole: u128,
    /// In units of 10^-38.
    fraction: u128,
}

/// Why a text is not a number that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// It is something else.
    NotANumber,
    /// It is above 128 bits, or longer than any number that is not.
    TooLarge,
}

impl Number {
    /// Reads a JSON number, a decimal text, or hexadecimal digits behind `0x`.
    pub(crate) fn read(text: &str) -> Result<Self, NumberError> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let hex = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
        let (whole, fraction) = match hex {
            Some(digits) => (integer(digits, 16)?, 0),
            None => decimal(unsigned)?,
        };
        Ok(Self { negative: negative && (whole, fraction) != (0, 0), whole, fraction })
    }

    /// The number, where it is a whole one of 127 bits.
    pub(crate) fn as_i128(self) -> Option<i128> {
        let magnitude = i128::try_from(self.whole).ok().filter(|_| self.fraction == 0)?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The number times ten to a power, without what is then behind the point. None where it is negative or too large.
    pub(crate) fn scaled(self, power: i32) -> Option<u128> {
        if self.negative {
            return None;
        }
        match u32::try_from(power) {
            Ok(power) => {
                let behind = self.fraction / 10_u128.checked_pow(38_u32.checked_sub(power)?)?;
                self.whole.checked_mul(10_u128.checked_pow(power)?)?.checked_add(behind)
            }
            Err(_) => Some(self.whole / 10_u128.checked_pow(power.unsigned_abs())?),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = (self.whole, self.fraction).cmp(&(other.whole, other.fraction));
        match (self.negative, other.negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}", self.whole)?;
        if self.fraction != 0 {
            let digits = format!("{:038}", self.fraction);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// Whole and fraction of a decimal number without its sign.
fn decimal(text: &str) -> Result<(u128, u128), NumberError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.parse::<i32>().map_err(|_| NumberError::NotANumber)?)
        }
        None => (text, 0),
    };
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() || !is_digits(before) || !is_digits(behind) || mantissa.ends_with('.') {
        return Err(NumberError::NotANumber);
    }
    let shifts_too_far = exponent.unsigned_abs() as usize > CHARACTERS_MAX;
    if text.len() > CHARACTERS_MAX || shifts_too_far {
        return Err(NumberError::TooLarge);
    }
    let zeros = "0".repeat(exponent.unsigned_abs() as usize);
    let (before, behind) = match exponent < 0 {
        true => shifted(&[&zeros, before].concat(), "", behind, exponent),
        false => shifted("", before, &[behind, &zeros].concat(), exponent),
    };
    let kept: String = behind.chars().chain(std::iter::repeat('0')).take(FRACTION_DIGITS).collect();
    Ok((integer(&before, 10)?, integer(&kept, 10)?))
}

/// The digits before and behind the point after the point has moved: to the left out of `left`, or to the right into `right`.
fn shifted(left: &str, middle: &str, right: &str, exponent: i32) -> (String, String) {
    let moved = exponent.unsigned_abs() as usize;
    if exponent < 0 {
        let (before, crossing) =
            left.split_at_checked(left.len().saturating_sub(moved)).unwrap_or((left, ""));
        (before.to_owned(), [crossing, right].concat())
    } else {
        let (crossing, behind) = right.split_at_checked(moved).unwrap_or((right, ""));
        ([middle, crossing].concat(), behind.to_owned())
    }
}

fn integer(digits: &str, radix: u32) -> Result<u128, NumberError> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NumberError::NotANumber);
    }
    u128::from_str_radix(digits, radix).map_err(|_| NumberError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("007", "7"),
            ("+12", "12"),
            ("9007199254740993", "9007199254740993"),
            ("340282366920938463463374607431768211455", "340282366920938463463374607431768211455"),
            ("0x1b4", "436"),
            ("0XFF", "255"),
            ("-0x10", "-16"),
            ("0xffffffffffffffffffffffffffffffff", "340282366920938463463374607431768211455"),
            ("1.50", "1.5"),
            ("-2.25", "-2.25"),
            ("1e3", "1000"),
            ("1.5e1", "15"),
            ("1.2345E2", "123.45"),
            ("15e-1", "1.5"),
            ("1e-3", "0.001"),
            ("0.1e-2", "0.001"),
            ("123.456e+2", "12345.6"),
        ] {
            assert_eq!(Number::read(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_told_from_what_is_too_large() {
        use NumberError::{NotANumber, TooLarge};
        let long = "1".repeat(500);
        for (text, error) in [
            ("", NotANumber),
            ("-", NotANumber),
            ("0x", NotANumber),
            ("0x+1", NotANumber),
            ("1.", NotANumber),
            (".5", NotANumber),
            ("1_000", NotANumber),
            ("1 ", NotANumber),
            ("--1", NotANumber),
            ("NaN", NotANumber),
            ("e5", NotANumber),
            ("1e", NotANumber),
            ("1e99999999999", NotANumber),
            ("1e99", TooLarge),
            ("1e999", TooLarge),
            ("340282366920938463463374607431768211456", TooLarge),
            ("0x100000000000000000000000000000000", TooLarge),
            (&long, TooLarge),
        ] {
            assert_eq!(Number::read(text), Err(error), "{text}");
        }
    }

    #[test]
    fn numbers_have_their_order() {
        let sorted = [
            "-0x10",
            "-1.5",
            "-1.49",
            "0",
            "1e-9",
            "0.5",
            "0.50001",
            "1",
            "0x2",
            "9007199254740992",
            "9007199254740993",
        ];
        let read: Vec<_> = sorted.iter().map(|text| Number::read(text).unwrap()).collect();
        assert!(read.windows(2).all(|pair| pair[0] < pair[1]), "{read:?}");
        let equal = |one, other| Number::read(one) == Number::read(other);
        assert!(equal("1.0", "1") && equal("0x10", "16") && equal("1e2", "100.000"));
    }

    #[test]
    fn numbers_are_scaled() {
        let scaled = |text: &str, power| Number::read(text).unwrap().scaled(power);
        assert_eq!(scaled("1700000000.123456789", 6), Some(1_700_000_000_123_456));
        assert_eq!(scaled("1700000000123", 3), Some(1_700_000_000_123_000));
        assert_eq!(scaled("1700000000123456789", -3), Some(1_700_000_000_123_456));
        assert_eq!(scaled("-1", 0), None);
        assert_eq!(scaled("340282366920938463463374607431768211455", 6), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+]?[0-9a-fx.eE+-]{0,12}") {
            if let Ok(number) = Number::read(&text) {
                proptest::prop_assert_eq!(Number::read(&number.to_string()), Ok(number));
            }
        }

        #[test]
        fn integers_are_ordered_as_integers(one: i64, other: i64) {
            let read = |number: i64| Number::read(&number.to_string()).unwrap();
            proptest::prop_assert_eq!(read(one).cmp(&read(other)), one.cmp(&other));
            proptest::prop_assert_eq!(read(one).as_i128(), Some(i128::from(one)));
        }
    }
}
