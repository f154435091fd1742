//! The TLS handshake: bundled roots, so that every agent judges a certificate alike, and never a resumed session, so that
//! every check sees what a first visit sees.

use std::sync::Arc;

use quorate_proto::{Failure, FailureKind};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{TlsFacts, certificate, classify, plan::TlsPlan, progress::Progress, turns::Turns};

/// What all handshakes share.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    usual: ClientConfig,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let usual = verifying(&provider, roots.clone())?;
        Ok(Self { provider, roots, usual })
    }

    /// Shakes hands. Takes as long as it takes: the caller has the deadline.
    pub(crate) async fn handshake(
        &self,
        tcp: TcpStream,
        plan: &TlsPlan,
        progress: &mut Progress,
    ) -> Result<TlsStream<Turns>, Failure> {
        let configuration = self.configuration(plan).map_err(|error| {
            progress.fail((FailureKind::AgentFault, format!("TLS cannot be set up: {error}")))
        })?;
        let connector = TlsConnector::from(Arc::new(configuration));
        let stream = connector
            .connect(plan.name.clone(), Turns::new(tcp))
            .await
            .map_err(|error| progress.fail(classify::tls_handshake(&error)))?;
        progress.facts.tls = Some(facts(&stream, plan.verify));
        Ok(stream)
    }

    fn configuration(&self, plan: &TlsPlan) -> Result<ClientConfig, rustls::Error> {
        if !plan.verify {
            let verifier = Arc::new(AnyCertificate { provider: self.provider.clone() });
            let builder = ClientConfig::builder_with_provider(self.provider.clone())
                .with_safe_default_protocol_versions()?;
            return Ok(own(builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth()));
        }
        if plan.extra_roots.is_empty() {
            return Ok(self.usual.clone());
        }
        let mut roots = self.roots.clone();
        for root in &plan.extra_roots {
            roots.add(root.clone())?;
        }
        verifying(&self.provider, roots)
    }
}

fn verifying(provider: &Arc<CryptoProvider>, roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    Ok(own(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// What browsers do for `wss://`: HTTP/1.1 by name, since a server that offers HTTP/2 might choose that. And a full
/// handshake each time: a resumed one is faster than a new visitor's, and skips the certificate.
fn own(mut configuration: ClientConfig) -> ClientConfig {
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    configuration.resumption = Resumption::disabled();
    configuration
}

fn facts(stream: &TlsStream<Turns>, verified: bool) -> TlsFacts {
    let connection = stream.get_ref().1;
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    };
    let cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let key_exchange = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    let leaf = connection.peer_certificates().and_then(|chain| chain.first());
    TlsFacts {
        version,
        cipher: cipher.unwrap_or_default(),
        key_exchange: key_exchange.unwrap_or_default(),
        not_after: leaf.and_then(|leaf| certificate::not_after(leaf)),
        verified,
    }
}

/// Takes any certificate, as `verify_tls = false` asks for. The handshake's signature is verified all the same: the server
/// has the key of the certificate that it shows.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
