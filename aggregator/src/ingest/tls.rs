//! The endpoint: TLS 1.3 with raw public keys (RFC 7250) on both sides, Ed25519 only, and QUIC's own bounds.
//!
//! No tickets and no 0-RTT: a resumed session is not verified again, so an agent whose key was revoked would get back
//! in with a ticket. Nothing sent before the handshake is over is looked at, so nothing can be replayed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime,
    TransportConfig, VarInt, crypto::rustls::QuicServerConfig,
};
use quorate_proto::{
    AgentKey, SigningKey,
    frame::{ALPN, ALPN_JOIN},
    limits::UPLOADS_IN_FLIGHT_MAX,
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, PeerIncompatible, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

use super::{Bound, IngestError, Listener};
use crate::{clock, limits, model::Roster};

/// Bytes of our connection ids: enough that they do not repeat between a process and its successor.
const CONNECTION_ID_BYTES: usize = 12;
/// Separates the key of stateless resets from every other use of the aggregator's key.
const RESET_DOMAIN: &[u8] = b"quorate stateless reset v1\0";
/// Answers to packets of unknown connections, at most one in this time. After a restart every agent gets one.
const RESET_INTERVAL: std::time::Duration = std::time::Duration::from_millis(1);

/// Makes the endpoint of a bound socket.
pub(super) fn endpoint(
    listener: Listener,
    key: &SigningKey,
    roster: Arc<ArcSwap<Roster>>,
) -> Result<quinn::Endpoint, IngestError> {
    let server = server_config(key, roster).map_err(IngestError::Key)?;
    let mut config = EndpointConfig::new(Arc::new(reset_key(key)));
    config.cid_generator(|| Box::new(RandomIds)).min_reset_interval(RESET_INTERVAL);
    let runtime = Arc::new(TokioRuntime);
    let endpoint = match listener.socket {
        Bound::System(socket) => quinn::Endpoint::new(config, Some(server), socket, runtime),
        #[cfg(feature = "simulation")]
        Bound::Simulated(socket) => {
            if let Some(world) = quorate_agent::simulation::world() {
                let mut seed = [0; 32];
                (world.fill)(&mut seed);
                config.rng_seed(Some(seed));
            }
            quinn::Endpoint::new_with_abstract_socket(config, Some(server), socket, runtime)
        }
    };
    endpoint.map_err(IngestError::Socket)
}

/// The key of a peer that passed the handshake.
pub(super) fn agent_key(connection: &quinn::Connection) -> Option<AgentKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    AgentKey::from_spki(identity.first()?)
}

/// The protocol that was agreed on.
pub(super) fn protocol(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    data.protocol
}

fn server_config(key: &SigningKey, roster: Arc<ArcSwap<Roster>>) -> Result<ServerConfig, rustls::Error> {
    let quic = QuicServerConfig::try_from(tls_config(key, roster)?)
        .map_err(|_| rustls::Error::General("no cipher suite for QUIC's first packets".into()))?;
    let mut server = ServerConfig::with_crypto(Arc::new(quic));
    server
        .transport_config(Arc::new(transport()))
        .max_incoming(limits::INCOMING_MAX)
        .incoming_buffer_size(limits::INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(limits::INCOMING_BYTES_TOTAL_MAX)
        // An agent behind a NAT that gives it a new port goes on where it was; its key is what we know it by.
        .migration(true);
    Ok(server)
}

fn tls_config(key: &SigningKey, roster: Arc<ArcSwap<Roster>>) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let identity = identity(key, &provider)?;
    let algorithms = provider.signature_verification_algorithms;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Doorkeeper { roster, algorithms }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity)));
    tls.alpn_protocols = vec![ALPN.to_vec(), ALPN_JOIN.to_vec()];
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    tls.max_early_data_size = 0;
    Ok(tls)
}

fn identity(key: &SigningKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let pkcs8 = PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
    let signer = provider.key_provider.load_private_key(PrivateKeyDer::Pkcs8(pkcs8))?;
    let spki = CertificateDer::from(key.aggregator_key().to_spki());
    Ok(Arc::new(CertifiedKey::new(vec![spki], signer)))
}

fn transport() -> TransportConfig {
    let streams = u32::try_from(UPLOADS_IN_FLIGHT_MAX).unwrap_or(u32::MAX).saturating_add(1);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(0u32.into())
        .stream_receive_window(limits::STREAM_WINDOW_BYTES.into())
        .receive_window(limits::CONNECTION_WINDOW_BYTES.into())
        .send_window(limits::SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(idle_timeout());
    transport
}

fn idle_timeout() -> Option<IdleTimeout> {
    let milliseconds = u32::try_from(limits::IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    Some(VarInt::from_u32(milliseconds).into())
}

/// The same in every life of the aggregator, so that after a crash its successor can tell agents at once that their
/// connections are gone, instead of leaving them to time out.
fn reset_key(key: &SigningKey) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, key.pkcs8());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, RESET_DOMAIN).as_ref())
}

/// Random connection ids that any life of the aggregator takes for its own. Those of quinn are marked with a key of
/// the process, and packets of an earlier process would be dropped without the answer that its connection is gone.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_BYTES];
        if aws_lc_rs::rand::fill(&mut id).is_err() {
            // Ids need to differ, not to be secret.
            id.fill_with(|| fastrand::u8(..));
        }
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Lets keys of the roster in, and any Ed25519 key while somebody may join. Which of the two a connection may do is
/// decided after the handshake, when its protocol is known.
#[derive(Debug)]
struct Doorkeeper {
    roster: Arc<ArcSwap<Roster>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Doorkeeper {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let key = AgentKey::from_spki(end_entity).filter(|_| intermediates.is_empty());
        let Some(key) = key else { return Err(CertificateError::BadEncoding.into()) };
        let roster = self.roster.load();
        let joining = roster.joining_until.is_some_and(|until| clock::wall() < until);
        if joining || roster.agents.contains_key(&key) {
            return Ok(ClientCertVerified::assertion());
        }
        tracing::debug!(%key, "a key that is not enrolled was refused");
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_resumed() {
        let tls = tls_config(&SigningKey::generate().unwrap(), Arc::default()).unwrap();
        assert_eq!(tls.send_tls13_tickets, 0);
        assert_eq!(tls.max_early_data_size, 0);
        assert!(!tls.session_storage.can_cache());
        assert_eq!(tls.alpn_protocols, [ALPN.to_vec(), ALPN_JOIN.to_vec()]);
    }

    #[test]
    fn the_reset_key_survives_a_restart_and_is_not_another_aggregators() {
        let (one, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let successor = SigningKey::from_pkcs8(one.pkcs8()).unwrap();
        let token = |key: &SigningKey| hmac::sign(&reset_key(key), b"an id").as_ref().to_vec();
        assert_eq!(token(&one), token(&successor));
        assert_ne!(token(&one), token(&other));
    }
}
