//! Until when a certificate is valid, read off its DER. Nothing else of it is looked at here, and one that cannot be
//! read costs a line in a report, never a check.

use quorate_proto::WallMicros;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_VERSION: u8 = 0xa0;

/// The `notAfter` of a certificate (RFC 5280 section 4.1).
pub(crate) fn not_after(der: &[u8]) -> Option<WallMicros> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    // TBSCertificate: version (optional), serial number, signature algorithm, issuer, validity.
    let (tag, _, after) = element(rest)?;
    if tag == EXPLICIT_VERSION {
        rest = after;
    }
    for wanted in [INTEGER, SEQUENCE, SEQUENCE] {
        let (tag, _, after) = element(rest)?;
        rest = (tag == wanted).then_some(after)?;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    self::time(tag, std::str::from_utf8(time).ok()?)
}

/// One DER element: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        0x80 | 0x85.. => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` below 2050, `YYYYMMDDHHMMSSZ` from then on (RFC 5280 section 4.1.2.5).
fn time(tag: u8, text: &str) -> Option<WallMicros> {
    let full = match tag {
        UTC_TIME => {
            let year: u8 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", full).ok()?;
    let timestamp = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(WallMicros(timestamp.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["x.example".into()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 7, 8);
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_validity_is_found() {
        for (year, seconds) in [(2031, 1_941_235_200), (2049, 2_509_315_200), (2051, 2_572_387_200)] {
            assert_eq!(not_after(&certificate(year)), Some(WallMicros(seconds * 1_000_000)), "{year}");
        }
    }

    #[test]
    fn damaged_certificates_are_no_trouble() {
        let der = certificate(2031);
        for end in 0..der.len() {
            let _ = not_after(&der[..end]);
        }
        for index in 0..der.len() {
            let mut damaged = der.clone();
            damaged[index] ^= 0xff;
            let _ = not_after(&damaged);
        }
        assert_eq!(not_after(b"\x30\x84\xff\xff\xff\xff"), None);
        assert_eq!(not_after(b""), None);
    }
}
