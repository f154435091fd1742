//! From a host to its addresses.
//!
//! The hosts file is asked first and, where it knows the name, alone, as `getaddrinfo` does. Otherwise A and AAAA are
//! asked for at once and nothing is cached: a check sees what a new visitor sees. The system's configuration is read
//! again whenever it has changed, so that an agent that was started before its network was up, or that moves between
//! networks, does not need a restart.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use futures_util::future::{Either, select};
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};
use tokio::time::timeout;
use url::Host;

use super::classify::{self, LookupFault};
use crate::limits;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// Who is asked for addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Nameservers {
    /// Those of `/etc/resolv.conf`, with its search list, after `/etc/hosts`.
    #[default]
    System,
    /// These and nobody else, at most as many as are asked at once; neither search list nor hosts file.
    Explicit(Vec<SocketAddr>),
}

/// Finds addresses.
pub(crate) struct Resolver {
    nameservers: Nameservers,
    loaded: Mutex<Option<Loaded>>,
}

/// A resolver made of the system's files, and the time stamps that they had.
struct Loaded {
    stamps: [Option<SystemTime>; 2],
    ready: Ready,
}

#[derive(Clone)]
struct Ready {
    resolver: TokioResolver,
    hosts: std::sync::Arc<Hosts>,
}

impl Resolver {
    pub(crate) fn new(nameservers: Nameservers) -> Self {
        let resolver = Self { nameservers, loaded: Mutex::new(None) };
        // Read early, so that the first check does not pay for it. What fails here fails again, and is told, in a check.
        let _ = resolver.ready();
        resolver
    }

    /// The addresses of a host, IPv6 and IPv4 in turn (RFC 8305 section 4). Takes as long as it takes: the caller has the
    /// deadline.
    pub(crate) async fn addresses(&self, host: &Host<String>) -> Result<Vec<IpAddr>, LookupFault> {
        let name = match host {
            Host::Ipv4(address) => return Ok(vec![IpAddr::V4(*address)]),
            Host::Ipv6(address) => return Ok(vec![IpAddr::V6(*address)]),
            Host::Domain(name) => Name::from_utf8(name).map_err(|_| LookupFault::NotFound)?,
        };
        let Ready { resolver, hosts } =
            self.ready().map_err(|error| LookupFault::Agent(error.to_string()))?;
        let known = [RecordType::AAAA, RecordType::A].map(|family| {
            let lookup = hosts.lookup_static_host(&Query::query(name.clone(), family));
            lookup.map(|lookup| addresses(&lookup)).unwrap_or_default()
        });
        let [v6, v4] = known;
        if !(v6.is_empty() && v4.is_empty()) {
            return Ok(alternate(v6, v4));
        }
        both_families(&resolver, &name).await
    }

    /// The resolver as the system wants it at this moment.
    fn ready(&self) -> Result<Ready, NetError> {
        let stamps =
            [RESOLV_CONF, HOSTS].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = loaded.as_ref()
            && (loaded.stamps == stamps || self.nameservers != Nameservers::System)
        {
            return Ok(loaded.ready.clone());
        }
        let ready = self.load()?;
        *loaded = Some(Loaded { stamps, ready: ready.clone() });
        Ok(ready)
    }

    fn load(&self) -> Result<Ready, NetError> {
        let mut hosts = Hosts::default();
        let (configuration, mut options) = match &self.nameservers {
            Nameservers::System => {
                if let Ok(file) = fs::File::open(HOSTS) {
                    hosts.read_hosts_conf(io::Read::take(file, limits::HOSTS_FILE_BYTES_MAX))?;
                }
                read_system_conf()?
            }
            Nameservers::Explicit(addresses) => {
                let servers = addresses.iter().map(|&address| server(address)).collect();
                (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
            }
        };
        // No cache and no second attempts: either would hide what a visitor waits for.
        options.cache_size = 0;
        options.attempts = 0;
        options.timeout = limits::LOOKUP_WAIT.into();
        options.num_concurrent_reqs = limits::NAMESERVERS_ASKED_MAX;
        options.use_hosts_file = ResolveHosts::Never;
        let mut builder = TokioResolver::builder_with_config(configuration, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Ready { resolver: builder.build()?, hosts: hosts.into() })
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Asks for both families at once. The first that has addresses does not wait long for the other: there are nameservers
/// that never answer for AAAA.
async fn both_families(resolver: &TokioResolver, name: &Name) -> Result<Vec<IpAddr>, LookupFault> {
    let v6 = Box::pin(family(resolver, name, RecordType::AAAA));
    let v4 = Box::pin(family(resolver, name, RecordType::A));
    let lag = limits::FAMILY_LAG_MAX.into();
    let (v6, v4) = match select(v6, v4).await {
        Either::Left((v6, v4)) if v6.is_ok() => {
            (v6, timeout(lag, v4).await.unwrap_or(Err(LookupFault::Timeout)))
        }
        Either::Left((v6, v4)) => (v6, v4.await),
        Either::Right((v4, v6)) if v4.is_ok() => {
            (timeout(lag, v6).await.unwrap_or(Err(LookupFault::Timeout)), v4)
        }
        Either::Right((v4, v6)) => (v6.await, v4),
    };
    match (v6, v4) {
        (Err(v6), Err(v4)) => Err(classify::both_lookups_failed(v6, v4)),
        (v6, v4) => Ok(alternate(v6.unwrap_or_default(), v4.unwrap_or_default())),
    }
}

/// Asks for one family, again and again where there is no answer: the end of patience is the caller's deadline.
async fn family(
    resolver: &TokioResolver,
    name: &Name,
    family: RecordType,
) -> Result<Vec<IpAddr>, LookupFault> {
    loop {
        match resolver.lookup(name.clone(), family).await {
            Ok(lookup) => {
                let found = addresses(&lookup);
                return if found.is_empty() { Err(LookupFault::NoAddress) } else { Ok(found) };
            }
            Err(NetError::Timeout) => {}
            Err(error) => return Err(classify::lookup(&error)),
        }
    }
}

fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// IPv6, IPv4, IPv6, and so on until one runs out.
fn alternate(v6: Vec<IpAddr>, v4: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut mixed = Vec::with_capacity(v6.len() + v4.len());
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    loop {
        match (v6.next(), v4.next()) {
            (None, None) => return mixed,
            (v6, v4) => mixed.extend(v6.into_iter().chain(v4)),
        }
    }
}
