//! The TLS handshake: bundled roots, so that every agent judges a certificate alike, and never a resumed session, so that
//! every check sees what a first visit sees.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quorate_proto::{Failure, FailureKind, outcome::TlsFacts};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    TlsSeen, certificate, classify,
    progress::Progress,
    route::{TlsRoute, TlsSettings},
    tcp::Tcp,
    turns::Turns,
};

/// What all handshakes share.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    usual: TlsConnector,
    blind: TlsConnector,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let settings = TlsSettings { verify: true, ..TlsSettings::default() };
        let usual = connector(&provider, &roots, &settings)?;
        let blind = connector(&provider, &roots, &TlsSettings::default())?;
        Ok(Self { provider, roots, usual, blind })
    }

    /// Shakes hands. Takes as long as it takes: the caller has the deadline.
    pub(crate) async fn handshake(
        &self,
        tcp: Tcp,
        route: &TlsRoute,
        progress: &mut Progress,
    ) -> Result<TlsStream<Turns>, Failure> {
        let connector = self.connector(route).map_err(|error| {
            progress.fail((FailureKind::AgentFault, format!("TLS cannot be set up: {error}")))
        })?;
        let stream = connector
            .connect(route.name.clone(), Turns::new(tcp))
            .await
            .map_err(|error| progress.fail(classify::tls_handshake(&error)))?;
        progress.facts.tls = Some(seen(&stream, route.settings.verify));
        Ok(stream)
    }

    /// What is special about a monitor is made up once for all of its checks: a key takes as long to read as a handshake's
    /// half.
    fn connector(&self, route: &TlsRoute) -> Result<TlsConnector, rustls::Error> {
        let TlsRoute { settings, made, .. } = route;
        if settings.identity.is_none() && !settings.verify {
            return Ok(self.blind.clone());
        }
        if settings.identity.is_none() && settings.extra_roots.is_empty() {
            return Ok(self.usual.clone());
        }
        if let Some(made) = made.get() {
            return Ok(made.clone());
        }
        let special = connector(&self.provider, &self.roots, settings)?;
        Ok(made.get_or_init(|| special).clone())
    }
}

/// A client as a monitor wants it. Beside that it is like a browser for `wss://`: HTTP/1.1 by name, since a server that
/// offers HTTP/2 might choose that. And a full handshake each time: a resumed one is faster than a new visitor's, and
/// skips the certificate.
fn connector(
    provider: &Arc<CryptoProvider>,
    roots: &RootCertStore,
    settings: &TlsSettings,
) -> Result<TlsConnector, rustls::Error> {
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if settings.verify {
        let mut roots = roots.clone();
        for root in &settings.extra_roots {
            roots.add(root.clone())?;
        }
        builder.with_root_certificates(roots)
    } else {
        let verifier = AnyCertificate { provider: provider.clone() };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    };
    let mut configuration = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
    };
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    configuration.resumption = Resumption::disabled();
    Ok(Arc::new(configuration).into())
}

fn seen(stream: &TlsStream<Turns>, verified: bool) -> TlsSeen {
    let connection = stream.get_ref().1;
    let version = connection.protocol_version().map(u16::from);
    let cipher = connection.negotiated_cipher_suite().map(|suite| u16::from(suite.suite()));
    let key_exchange = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    let chain: &[CertificateDer<'_>] = connection.peer_certificates().unwrap_or_default();
    let facts = TlsFacts {
        version: version.unwrap_or_default(),
        cipher: cipher.unwrap_or_default(),
        not_after: chain.iter().filter_map(|certificate| certificate::not_after(certificate)).min(),
        fingerprint: chain.first().map(|leaf| fingerprint(leaf)).unwrap_or_default(),
        verified,
    };
    TlsSeen {
        facts,
        key_exchange: key_exchange.unwrap_or_default(),
        certificate: chain.first().and_then(|leaf| certificate::read(leaf)),
    }
}

fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    digest(&SHA256, certificate).as_ref().try_into().unwrap_or_default()
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
