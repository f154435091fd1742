//! TLS 1.3 with raw public keys (RFC 7250): ours shown, the aggregator's pinned.

use std::sync::{Arc, OnceLock};

use quinn::{ClientConfig, TransportConfig, VarInt, crypto::rustls::QuicClientConfig};
use quorate_proto::{AggregatorKey, SigningKey};
use rustls::{
    CertificateError, DigitallySignedStruct, PeerIncompatible, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    sign::CertifiedKey,
};

use crate::limits;

/// What the server must be, and, where it was another one, which.
#[derive(Debug)]
pub(super) struct Pin {
    expected: AggregatorKey,
    found: OnceLock<AggregatorKey>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pin {
    /// The key of a server that was left because of it.
    pub(super) fn found(&self) -> Option<AggregatorKey> {
        self.found.get().copied()
    }
}

/// The configuration of one attempt to connect.
pub(super) fn client_config(
    aggregator: AggregatorKey,
    key: &SigningKey,
    alpn: &[u8],
) -> Result<(ClientConfig, Arc<Pin>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let pkcs8 = PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
    let signer = provider.key_provider.load_private_key(PrivateKeyDer::Pkcs8(pkcs8))?;
    let spki = CertificateDer::from(key.agent_key().to_spki());
    let identity = Arc::new(CertifiedKey::new(vec![spki], signer));
    let algorithms = provider.signature_verification_algorithms;
    let pin = Arc::new(Pin { expected: aggregator, found: OnceLock::new(), algorithms });
    let verifier = Arc::clone(&pin);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity)));
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_sni = false;
    tls.enable_early_data = false;
    tls.resumption = Resumption::disabled();
    let quic = QuicClientConfig::try_from(tls)
        .map_err(|_| rustls::Error::General("no cipher suite for QUIC's first packets".into()))?;
    let mut client = ClientConfig::new(Arc::new(quic));
    client.transport_config(Arc::new(transport()));
    Ok((client, pin))
}

fn transport() -> TransportConfig {
    let idle = u32::try_from(limits::UPLINK_IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    let mut transport = TransportConfig::default();
    transport
        // The aggregator opens no streams.
        .max_concurrent_bidi_streams(0u32.into())
        .max_concurrent_uni_streams(0u32.into())
        .stream_receive_window(limits::UPLINK_WINDOW_BYTES.into())
        .receive_window((2 * limits::UPLINK_WINDOW_BYTES).into())
        .send_window(limits::UPLINK_SEND_WINDOW_BYTES)
        // Units are chained: the oldest has to be there first, so it is sent whole first.
        .send_fairness(false)
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(limits::UPLINK_KEEP_ALIVE.into()))
        .max_idle_timeout(Some(VarInt::from_u32(idle).into()));
    transport
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let key = AggregatorKey::from_spki(end_entity).filter(|_| intermediates.is_empty());
        let Some(key) = key else { return Err(CertificateError::BadEncoding.into()) };
        if key == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        // The first one is as good as any to name in the error.
        let _ = self.found.set(key);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = SubjectPublicKeyInfoDer::from(certificate.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
