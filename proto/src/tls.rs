//! The names of TLS's numbers, as IANA's registry and the RFCs write them. Results carry numbers, people read names.

use std::borrow::Cow;

use crate::outcome::TlsFacts;

/// Versions (RFC 8446 section 4.2.1).
const VERSIONS: [(u16, &str); 4] =
    [(0x0301, "TLS 1.0"), (0x0302, "TLS 1.1"), (0x0303, "TLS 1.2"), (0x0304, "TLS 1.3")];

/// Cipher suites that an agent offers, and the two of TLS 1.3 that it does not.
const CIPHERS: [(u16, &str); 11] = [
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// Alerts (RFC 8446 section 6, and the older ones that RFC 5246 section 7.2 and RFC 6066 section 9 name).
const ALERTS: [(u8, &str); 35] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];

/// The name of a version, such as `TLS 1.3`; the number in hex where it has none.
pub fn version_name(version: u16) -> Cow<'static, str> {
    name(&VERSIONS, version).map_or_else(|| format!("{version:#06x}").into(), Cow::Borrowed)
}

/// The name of a cipher suite in IANA's registry; the number in hex where it is none that agents agree to.
pub fn cipher_name(cipher: u16) -> Cow<'static, str> {
    name(&CIPHERS, cipher).map_or_else(|| format!("{cipher:#06x}").into(), Cow::Borrowed)
}

/// The name of an alert's description, such as `handshake_failure`; the number where it has none.
pub fn alert_name(description: u8) -> Cow<'static, str> {
    name(&ALERTS, description).map_or_else(|| description.to_string().into(), Cow::Borrowed)
}

impl TlsFacts {
    /// [`version_name`] of the version.
    pub fn version_name(&self) -> Cow<'static, str> {
        version_name(self.version)
    }

    /// [`cipher_name`] of the cipher suite.
    pub fn cipher_name(&self) -> Cow<'static, str> {
        cipher_name(self.cipher)
    }

    /// The fingerprint as people compare it: lower-case hex without separators, as `openssl x509 -fingerprint` gives it
    /// without its colons.
    pub fn fingerprint_hex(&self) -> String {
        self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn name<N: Copy + PartialEq>(table: &[(N, &'static str)], number: N) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names_and_strange_ones_stay_numbers() {
        for (found, wanted) in [
            (version_name(0x0304), "TLS 1.3"),
            (version_name(0x0303), "TLS 1.2"),
            (version_name(0x7f1c), "0x7f1c"),
            (cipher_name(0x1302), "TLS_AES_256_GCM_SHA384"),
            (cipher_name(0xcca8), "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            (cipher_name(0x000a), "0x000a"),
            (alert_name(40), "handshake_failure"),
            (alert_name(116), "certificate_required"),
            (alert_name(200), "200"),
        ] {
            assert_eq!(found, wanted);
        }
        let facts = TlsFacts {
            version: 0x0304,
            cipher: 0x1301,
            not_after: None,
            fingerprint: [0xa5; 32],
            verified: true,
        };
        assert_eq!(facts.fingerprint_hex(), "a5".repeat(32));
    }

    #[test]
    fn tables_are_in_order() {
        assert!(VERSIONS.is_sorted() && CIPHERS.is_sorted() && ALERTS.is_sorted());
    }
}
