//! TLS as no library would speak it: servers with odd certificates, and records made by hand after a good handshake.

use std::{
    io::{self, Write},
    net::TcpStream,
    sync::{Arc, LazyLock},
};

use anyhow::{Context, Result};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ProtocolVersion, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::{TLS12, TLS13},
};

use super::peer::Peer;

/// Record types (RFC 8446 section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// The servers' side of TLS, with an authority that the probe trusts.
pub(crate) struct Authority {
    /// The authority's certificate.
    pub(crate) pem: String,
    /// A server of TLS 1.3 whose records can be made by hand.
    pub tls13: Arc<ServerConfig>,
    /// The same of TLS 1.2.
    pub tls12: Arc<ServerConfig>,
    /// A good certificate and 400 that have nothing to do with it.
    pub(crate) huge: Arc<ServerConfig>,
    /// A certificate of nobody, and as many false issuers of it as a handshake may carry.
    pub(crate) maze: Arc<ServerConfig>,
}

/// The authority of this run.
pub(crate) fn authority() -> &'static Authority {
    #[expect(clippy::unwrap_used, reason = "without certificates there is nothing to test")]
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new().unwrap());
    &AUTHORITY
}

impl Authority {
    /// Makes keys and certificates.
    fn new() -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let good = CertifiedIssuer::self_signed(authority.clone(), KeyPair::generate()?)?;
        let bad = CertifiedIssuer::self_signed(authority.clone(), KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["localhost".to_owned()])?;
        let right = leaf.clone().signed_by(&key, &good)?.der().clone();
        let wrong = leaf.signed_by(&key, &bad)?.der().clone();
        // All bear the name of the leaf's issuer, and each has signed the one before.
        let mut maze = vec![wrong];
        let mut issuer = bad;
        while maze.iter().map(|certificate| certificate.len() + 16).sum::<usize>() < 60_000 {
            let next = CertifiedIssuer::signed_by(authority.clone(), KeyPair::generate()?, &issuer)?;
            maze.push(next.der().clone());
            issuer = next;
        }
        let filler = std::iter::repeat_n(issuer.der().clone(), 400);
        let huge = std::iter::once(right.clone()).chain(filler).collect();
        Ok(Self {
            pem: good.pem(),
            tls13: server(&TLS13, vec![right.clone()], &key)?,
            tls12: server(&TLS12, vec![right], &key)?,
            huge: server(&TLS13, huge, &key)?,
            maze: server(&TLS13, maze, &key)?,
        })
    }
}

fn server(
    version: &'static SupportedProtocolVersion,
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> Result<Arc<ServerConfig>> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // One cipher is enough to make records of.
    provider.cipher_suites.retain(|suite| {
        let wanted =
            [CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
        wanted.contains(&suite.suite())
    });
    let mut configuration = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
    configuration.enable_secret_extraction = true;
    configuration.send_tls13_tickets = 0;
    Ok(Arc::new(configuration))
}

/// Writes records under the keys of a finished handshake.
pub(crate) struct Records {
    tcp: TcpStream,
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
    version: ProtocolVersion,
}

impl Records {
    /// Takes a connection over once its handshake is done.
    pub(crate) fn take_over(peer: &mut Peer) -> io::Result<Self> {
        let (connection, tcp) = peer.finish_tls()?;
        Self::of(connection, tcp).map_err(io::Error::other)
    }

    fn of(connection: rustls::ServerConnection, tcp: TcpStream) -> Result<Self> {
        let version = connection.protocol_version().context("no version")?;
        let (sequence, secrets) = connection.dangerous_extract_secrets()?.tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            anyhow::bail!("another cipher")
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref())?);
        Ok(Self { tcp, key, iv: iv.as_ref().try_into()?, sequence, version })
    }

    /// One handshake message.
    pub(crate) fn handshake(&mut self, message: &[u8]) -> io::Result<()> {
        self.write(HANDSHAKE, message)
    }

    /// One alert.
    pub(crate) fn alert(&mut self, level: u8, description: u8) -> io::Result<()> {
        self.write(ALERT, &[level, description])
    }

    /// Application data.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(DATA, bytes)
    }

    /// A record whose tag is not its own.
    pub(crate) fn forged(&mut self) -> io::Result<()> {
        self.sequence += 1;
        self.data(b"forged")
    }

    fn write(&mut self, kind: u8, message: &[u8]) -> io::Result<()> {
        let record = self.seal(kind, message).map_err(io::Error::other)?;
        self.sequence += 1;
        self.tcp.write_all(&record)
    }

    fn seal(&self, kind: u8, message: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = message.to_vec();
        let sequence = self.sequence.to_be_bytes();
        if self.version == ProtocolVersion::TLSv1_3 {
            // RFC 8446 section 5.2: the type is inside, the nonce is the sequence number under the IV.
            sealed.push(kind);
            let length = u16::try_from(sealed.len() + 16)?.to_be_bytes();
            let header = [DATA, 3, 3, length[0], length[1]];
            let mut nonce = self.iv;
            for (byte, of_sequence) in nonce.iter_mut().skip(4).zip(sequence) {
                *byte ^= of_sequence;
            }
            self.key.seal_in_place_append_tag(Nonce::from(&nonce), Aad::from(header), &mut sealed)?;
            return Ok([&header[..], &sealed].concat());
        }
        // RFC 5288 section 3: eight bytes of the nonce go with the record.
        let length = u16::try_from(sealed.len())?.to_be_bytes();
        let covered = [&sequence[..], &[kind, 3, 3], &length].concat();
        let mut nonce = self.iv;
        nonce[4..].copy_from_slice(&sequence);
        self.key.seal_in_place_append_tag(Nonce::from(&nonce), Aad::from(&covered), &mut sealed)?;
        let length = u16::try_from(sealed.len() + sequence.len())?.to_be_bytes();
        Ok([&[kind, 3, 3, length[0], length[1]][..], &sequence, &sealed].concat())
    }
}

/// What a server says in its first flight.
pub(crate) fn first_flight(peer: &mut Peer, configuration: Arc<ServerConfig>) -> io::Result<Vec<u8>> {
    let mut connection = rustls::ServerConnection::new(configuration).map_err(io::Error::other)?;
    while !connection.wants_write() {
        connection.read_tls(peer)?;
        connection.process_new_packets().map_err(io::Error::other)?;
    }
    let mut flight = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut flight)?;
    }
    Ok(flight)
}
