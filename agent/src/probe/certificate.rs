//! What a certificate says, read off its DER: until when it is valid, for whom, and by whom. None of it decides anything
//! here, and a certificate that cannot be read costs a line in a report, never a check.

use std::net::IpAddr;

use quorate_proto::WallMicros;

use super::quote;
use crate::limits;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_VERSION: u8 = 0xa0;
const EXPLICIT_EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// `id-at-commonName` and `id-at-organizationName` (RFC 5280 appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];
/// `id-ce-subjectAltName` (RFC 5280 section 4.2.1.6).
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 29, 17];

/// What a certificate says. For people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Its holder: the common name, and the organization behind it. Empty where it has neither, as is usual today.
    pub subject: String,
    /// Who signed it: the same of the issuer.
    pub issuer: String,
    /// The DNS names and addresses that it is for; at most [`limits::CERTIFICATE_NAMES_MAX`].
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Option<WallMicros>,
    /// Until when it is valid.
    pub not_after: Option<WallMicros>,
}

/// Reads a certificate (RFC 5280 section 4.1), as far as it can be read.
pub(crate) fn read(der: &[u8]) -> Option<Certificate> {
    let parts = Parts::of(der)?;
    let (not_before, not_after) = validity(parts.validity);
    Some(Certificate {
        subject: name(parts.subject),
        issuer: name(parts.issuer),
        names: names(parts.rest),
        not_before,
        not_after,
    })
}

/// The `notAfter` of a certificate alone.
pub(crate) fn not_after(der: &[u8]) -> Option<WallMicros> {
    validity(Parts::of(der)?.validity).1
}

/// The parts of a TBSCertificate that are looked at.
struct Parts<'a> {
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    /// The public key and the extensions.
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let (_, certificate, _) = element(der)?;
        let (_, mut rest, _) = element(certificate)?;
        let (tag, _, after) = element(rest)?;
        if tag == EXPLICIT_VERSION {
            rest = after;
        }
        let mut take = |wanted| {
            let (tag, content, after) = element(rest)?;
            rest = after;
            (tag == wanted).then_some(content)
        };
        take(INTEGER)?;
        take(SEQUENCE)?;
        let (issuer, validity, subject) = (take(SEQUENCE)?, take(SEQUENCE)?, take(SEQUENCE)?);
        Some(Self { issuer, validity, subject, rest })
    }
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

/// All elements in a row, as far as they are whole.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(bytes)?;
        bytes = rest;
        Some((tag, content))
    })
}

fn validity(validity: &[u8]) -> (Option<WallMicros>, Option<WallMicros>) {
    let mut times = elements(validity).map(|(tag, text)| time(tag, std::str::from_utf8(text).ok()?));
    (times.next().flatten(), times.next().flatten())
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

/// A distinguished name as people call it: the common name, the organization, or one with the other.
fn name(name: &[u8]) -> String {
    let attribute = |wanted: &[u8]| {
        let sets = elements(name).filter(|(tag, _)| *tag == SET);
        let mut attributes = sets.filter_map(|(_, set)| element(set)).filter_map(|(_, attribute, _)| {
            let (tag, kind, rest) = element(attribute)?;
            let (_, value, _) = element(rest)?;
            (tag == OBJECT_IDENTIFIER && kind == wanted).then(|| text(value))
        });
        attributes.next().filter(|value| !value.is_empty())
    };
    match (attribute(COMMON_NAME), attribute(ORGANIZATION)) {
        (Some(common), Some(organization)) => format!("{common}, {organization}"),
        (common, organization) => common.or(organization).unwrap_or_default(),
    }
}

fn names(rest: &[u8]) -> Vec<String> {
    let extensions = elements(rest).find(|(tag, _)| *tag == EXPLICIT_EXTENSIONS);
    let extensions = extensions.and_then(|(_, extensions)| element(extensions));
    let Some((_, extensions, _)) = extensions else { return Vec::new() };
    let alternatives = elements(extensions).find_map(|(_, extension)| {
        let (_, kind, mut rest) = element(extension)?;
        if let Some((BOOLEAN, _, after)) = element(rest) {
            rest = after;
        }
        let (tag, value, _) = element(rest)?;
        (kind == SUBJECT_ALT_NAME && tag == OCTET_STRING).then_some(value)
    });
    let names = alternatives.and_then(element).map(|(_, names, _)| names).unwrap_or_default();
    let names = elements(names).filter_map(|(tag, value)| match tag {
        DNS_NAME => Some(text(value)),
        IP_ADDRESS => address(value).map(|address| address.to_string()),
        _ => None,
    });
    names.take(limits::CERTIFICATE_NAMES_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A certificate is a stranger's words like any other.
fn text(bytes: &[u8]) -> String {
    quote::line(bytes, limits::QUOTE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(year: i32, describe: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["x.example".into(), "192.0.2.7".into()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 7, 8);
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        describe(&mut parameters);
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_validity_is_found() {
        for (year, seconds) in [(2031, 1_941_235_200), (2049, 2_509_315_200), (2051, 2_572_387_200)] {
            let der = certificate(year, |_| {});
            assert_eq!(not_after(&der), Some(WallMicros(seconds * 1_000_000)), "{year}");
        }
    }

    #[test]
    fn holder_issuer_and_names_are_found() {
        let der = certificate(2031, |parameters| {
            parameters.distinguished_name.push(DnType::CountryName, "DE");
            parameters.distinguished_name.push(DnType::OrganizationName, "Example\u{202e} Ltd");
            parameters.distinguished_name.push(DnType::CommonName, "x.example");
        });
        let whole = read(&der).unwrap();
        assert_eq!(whole.subject, "x.example, Example\u{fffd} Ltd");
        assert_eq!(whole.issuer, whole.subject);
        assert_eq!(whole.names, ["x.example", "192.0.2.7"]);
        assert_eq!(whole.not_before, Some(WallMicros(1_577_836_800_000_000)));
        assert_eq!(whole.not_after, not_after(&der));

        let nameless = read(&certificate(2031, |parameters| parameters.subject_alt_names.clear())).unwrap();
        assert_eq!((nameless.subject.as_str(), nameless.names.len()), ("", 0));
        let many = certificate(2031, |parameters| {
            let name = "x".repeat(200);
            parameters.subject_alt_names =
                (0..100).map(|_| rcgen::SanType::DnsName(name.as_str().try_into().unwrap())).collect();
        });
        let many = read(&many).unwrap();
        assert_eq!(many.names.len(), limits::CERTIFICATE_NAMES_MAX);
        assert!(many.names.iter().all(|name| name.len() <= limits::QUOTE_BYTES_MAX));
    }

    #[test]
    fn damaged_certificates_are_no_trouble() {
        let der = certificate(2031, |parameters| {
            parameters.distinguished_name.push(DnType::CommonName, "x.example");
        });
        for end in 0..der.len() {
            let _ = read(&der[..end]);
        }
        for index in 0..der.len() {
            let mut damaged = der.clone();
            damaged[index] ^= 0xff;
            let _ = read(&damaged);
        }
        assert_eq!(read(b"\x30\x84\xff\xff\xff\xff"), None);
        assert_eq!(read(b""), None);
    }
}
