//! The way to a server, as a monitor's specification gives it: whom to connect to, through which proxy, at which of its
//! addresses, and what TLS needs.

use std::{fmt, sync::OnceLock};

use quorate_proto::{
    MonitorSpec,
    monitor::{Addresses, ClientCertificate, Family},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::proxy::ProxyRoute;

/// The way to a server.
pub(crate) struct Route {
    /// The host and port to connect to, or to ask a proxy for.
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// The monitor's own proxy.
    pub(crate) proxy: Option<ProxyRoute>,
    /// Which of the host's addresses are checked, where no proxy chooses.
    pub(crate) addresses: Addresses,
    /// Of which family.
    pub(crate) family: Family,
    /// What TLS needs; none for `ws://`.
    pub(crate) tls: Option<TlsRoute>,
}

/// What TLS needs.
pub(crate) struct TlsRoute {
    pub(crate) name: ServerName<'static>,
    pub(crate) settings: TlsSettings,
    /// What was made of the settings, once it was needed.
    pub(crate) made: OnceLock<TlsConnector>,
}

/// How this side of TLS is set up.
#[derive(Default)]
pub(crate) struct TlsSettings {
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    pub(crate) verify: bool,
    pub(crate) identity: Option<Identity>,
}

/// The certificate that the agent shows, and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// What is wrong with the way to a server. None of it quotes a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("the URL names no host")]
    NoHost,
    #[error("`{0}` to connect to is not host:port")]
    ConnectTo(String),
    #[error("`{0}` is not a name or address that TLS can verify")]
    ServerName(String),
    #[error("the CA file holds no certificate in PEM")]
    CaEmpty,
    #[error("the CA file: {0}")]
    Ca(pem::Error),
    #[error("the client certificate's file holds no certificate in PEM")]
    ClientCertificateEmpty,
    #[error("the client certificate: {0}")]
    ClientCertificate(pem::Error),
    #[error(
        "the client certificate's key file holds no private key in PEM; one with a passphrase must be decrypted"
    )]
    ClientKeyEmpty,
    #[error("the client certificate's key is broken PEM")]
    ClientKey,
    #[error("`{0}` is not a proxy: wanted host:port")]
    Proxy(String),
    #[error("the proxy's authorization holds a line break or another character that a header cannot hold")]
    ProxyAuthorization,
    #[error("{0} is an address, and not of the family that the monitor wants")]
    Family(String),
}

impl Route {
    pub(crate) fn new(spec: &MonitorSpec, url: &Url) -> Result<Self, RouteError> {
        let named = url.host().ok_or(RouteError::NoHost)?.to_owned();
        let named_port = url.port_or_known_default().ok_or(RouteError::NoHost)?;
        let tls = match url.scheme() {
            "wss" => Some(tls_route(spec, &named)?),
            _ => None,
        };
        let (host, port) = match &spec.connect_to {
            None => (named, named_port),
            Some(text) => host_and_port(text).ok_or_else(|| RouteError::ConnectTo(text.clone()))?,
        };
        let proxy = spec.proxy.as_ref().map(ProxyRoute::new).transpose()?;
        if matches!((&host, spec.family), (Host::Ipv4(_), Family::V6) | (Host::Ipv6(_), Family::V4)) {
            return Err(RouteError::Family(host.to_string()));
        }
        Ok(Self { host, port, proxy, addresses: spec.addresses, family: spec.family, tls })
    }

    /// Whether several addresses are checked on their own.
    pub(crate) fn is_for_each(&self) -> bool {
        self.addresses == Addresses::All || self.family == Family::Both
    }

    /// `host:port`, as `CONNECT` and people write it.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

/// Reads `host:port`, where the host may be a name, an IPv4 address in any spelling, or an IPv6 address in brackets.
pub(crate) fn host_and_port(text: &str) -> Option<(Host<String>, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((Host::parse(host).ok()?, port.parse().ok().filter(|&port| port != 0)?))
}

fn tls_route(spec: &MonitorSpec, host: &Host<String>) -> Result<TlsRoute, RouteError> {
    let text = match (&spec.sni, host) {
        (Some(name), _) => name.clone(),
        (None, Host::Domain(name)) => name.trim_end_matches('.').to_owned(),
        (None, Host::Ipv4(address)) => address.to_string(),
        (None, Host::Ipv6(address)) => address.to_string(),
    };
    let name = ServerName::try_from(text.clone()).map_err(|_| RouteError::ServerName(text))?;
    let extra_roots = match &spec.ca_pem {
        None => Vec::new(),
        Some(pem) => match certificates(pem).map_err(RouteError::Ca)? {
            found if found.is_empty() => return Err(RouteError::CaEmpty),
            found => found,
        },
    };
    let identity = spec.client_certificate.as_ref().map(identity).transpose()?;
    Ok(TlsRoute {
        name,
        settings: TlsSettings { extra_roots, verify: spec.verify_tls, identity },
        made: OnceLock::new(),
    })
}

fn identity(certificate: &ClientCertificate) -> Result<Identity, RouteError> {
    let ClientCertificate { chain_pem, key_pem } = certificate;
    let chain = certificates(chain_pem).map_err(RouteError::ClientCertificate)?;
    if chain.is_empty() {
        return Err(RouteError::ClientCertificateEmpty);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            RouteError::ClientKeyEmpty
        } else {
            RouteError::ClientKey
        }
    })?;
    Ok(Identity { chain, key })
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}
