//! A client that is not ours: it can say whatever a test wants it to.

use std::{net::SocketAddr, sync::Arc};

use quinn::{Connection, ConnectionError, Endpoint, crypto::rustls::QuicClientConfig};
use quorate_proto::{
    BootEpoch, SigningKey,
    frame::{self, AgentControl, AggregatorControl, Hello, PREFIX_BYTES},
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    sign::CertifiedKey,
};

use super::house::PATIENCE;

/// How a client shows who it is.
pub(super) enum Identity<'a> {
    None,
    RawKey(&'a SigningKey),
    /// The public key of the first, shown by somebody who holds the second.
    Stolen(&'a SigningKey, &'a SigningKey),
    X509,
}

pub(super) struct Stranger {
    pub(super) endpoint: Endpoint,
    client: quinn::ClientConfig,
}

impl Stranger {
    pub(super) fn new(identity: &Identity<'_>, alpn: &[u8]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(Gullible(provider.signature_verification_algorithms));
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let load = |pkcs8: &[u8]| {
            let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
            provider.key_provider.load_private_key(der).unwrap()
        };
        let raw = |shown: &SigningKey, held: &SigningKey| {
            let spki = CertificateDer::from(shown.agent_key().to_spki());
            let certified = CertifiedKey::new(vec![spki], load(held.pkcs8()));
            Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(certified)))
        };
        let mut tls = match identity {
            Identity::None => builder.with_no_client_auth(),
            Identity::RawKey(key) => builder.with_client_cert_resolver(raw(key, key)),
            Identity::Stolen(shown, held) => builder.with_client_cert_resolver(raw(shown, held)),
            Identity::X509 => {
                let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
                let certificate =
                    rcgen::CertificateParams::new(vec!["agent".into()]).unwrap().self_signed(&key).unwrap();
                let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![certificate.der().clone()], der).unwrap()
            }
        };
        tls.alpn_protocols = vec![alpn.to_vec()];
        tls.enable_sni = false;
        tls.enable_early_data = true;
        let client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        Self { endpoint: Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap(), client }
    }

    pub(super) fn connecting(&self, address: SocketAddr) -> quinn::Connecting {
        self.endpoint.connect_with(self.client.clone(), address, "quorate").unwrap()
    }

    pub(super) async fn connect(&self, address: SocketAddr) -> Result<Connection, ConnectionError> {
        tokio::time::timeout(PATIENCE, self.connecting(address)).await.expect("the handshake ends")
    }

    /// How the aggregator ends a connection on which the client says no more.
    pub(super) async fn refusal(&self, address: SocketAddr) -> ConnectionError {
        match self.connect(address).await {
            Ok(connection) => ended(&connection).await,
            Err(error) => error,
        }
    }
}

/// Says hello as an agent, and waits for the welcome.
pub(super) async fn greet(connection: &Connection) -> (quinn::SendStream, quinn::RecvStream) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let hello =
        AgentControl::Hello(Hello { software: "stranger 1".into(), epoch: BootEpoch(1), revision: 0 });
    send.write_all(&frame::encode(&hello, 1024).unwrap()).await.unwrap();
    let mut prefix = [0; PREFIX_BYTES];
    receive.read_exact(&mut prefix).await.unwrap();
    let mut payload = vec![0; frame::payload_bytes(prefix, 1024).unwrap()];
    receive.read_exact(&mut payload).await.unwrap();
    let welcome: AggregatorControl = frame::decode(&payload, 1024).unwrap();
    assert!(matches!(welcome, AggregatorControl::Welcome(_)), "{welcome:?}");
    (send, receive)
}

pub(super) async fn ended(connection: &Connection) -> ConnectionError {
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection ends")
}

/// The application's close code, where it was closed by the application.
pub(super) fn code(error: &ConnectionError) -> Option<u64> {
    if let ConnectionError::ApplicationClosed(close) = error {
        return Some(close.error_code.into_inner());
    }
    None
}

/// Believes every server.
#[derive(Debug)]
struct Gullible(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("TLS 1.3 alone is offered")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = SubjectPublicKeyInfoDer::from(certificate.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
