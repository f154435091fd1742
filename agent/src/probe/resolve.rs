//! From a host to its addresses.
//!
//! The hosts file is asked first and, where it knows the name, alone, as `getaddrinfo` does. Otherwise A and AAAA are
//! asked for at once and nothing is cached: a check sees what a new visitor sees. The system's configuration is read
//! again whenever it has changed, so that an agent that was started before its network was up, or that moves between
//! networks, does not need a restart.

use std::{
    fs,
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
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
    system_conf::parse_resolv_conf,
};
use quorate_proto::{Micros, monitor::Family};
use tokio::time::timeout;
use url::Host;

use super::classify::{self, LookupFault};
use crate::limits;

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
    files: Files,
    loaded: Mutex<Option<Loaded>>,
}

/// Where the system's configuration is.
struct Files {
    resolv_conf: PathBuf,
    hosts: PathBuf,
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
        Self::with_files(
            nameservers,
            Files { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into() },
        )
    }

    fn with_files(nameservers: Nameservers, files: Files) -> Self {
        let resolver = Self { nameservers, files, loaded: Mutex::new(None) };
        // Read early, so that the first check does not pay for it. What fails here fails again, and is told, in a check.
        let _ = resolver.ready();
        resolver
    }

    /// The addresses of a host, IPv6 and IPv4 in turn (RFC 8305 section 4). `lag` is how long one family may be waited for
    /// when the other is there. Takes as long as it takes: the caller has the deadline.
    pub(crate) async fn addresses(
        &self,
        host: &Host<String>,
        family: Family,
        lag: Micros,
    ) -> Result<Vec<IpAddr>, LookupFault> {
        let name = match host {
            Host::Ipv4(address) => return Ok(vec![IpAddr::V4(*address)]),
            Host::Ipv6(address) => return Ok(vec![IpAddr::V6(*address)]),
            Host::Domain(name) => Name::from_utf8(name)
                .map_err(|error| LookupFault::Agent(format!("it is not a name in DNS: {error}")))?,
        };
        let Ready { resolver, hosts } =
            self.ready().map_err(|error| LookupFault::Agent(error.to_string()))?;
        let known = [RecordType::AAAA, RecordType::A].map(|family| {
            let lookup = hosts.lookup_static_host(&Query::query(name.clone(), family));
            lookup.map(|lookup| addresses(&lookup)).unwrap_or_default()
        });
        let [v6, v4] = known;
        if !(v6.is_empty() && v4.is_empty()) {
            let found = match family {
                Family::V4 => v4,
                Family::V6 => v6,
                Family::Any | Family::Both => alternate(v6, v4),
            };
            return if found.is_empty() { Err(LookupFault::NoAddress) } else { Ok(found) };
        }
        match family {
            Family::V4 => one_family(&resolver, &name, RecordType::A).await,
            Family::V6 => one_family(&resolver, &name, RecordType::AAAA).await,
            Family::Any | Family::Both => both_families(&resolver, &name, lag).await,
        }
    }

    /// The resolver as the system wants it at this moment.
    fn ready(&self) -> Result<Ready, NetError> {
        let stamps = [&self.files.resolv_conf, &self.files.hosts]
            .map(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
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
                // A system without a hosts file is a whole one; one without nameservers is not.
                if let Ok(text) = contents(&self.files.hosts, limits::HOSTS_FILE_BYTES_MAX) {
                    hosts.read_hosts_conf(text.as_slice())?;
                }
                parse_resolv_conf(contents(&self.files.resolv_conf, limits::RESOLV_CONF_BYTES_MAX)?)?
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

/// A file, as far as its bound.
fn contents(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
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
async fn both_families(
    resolver: &TokioResolver,
    name: &Name,
    lag: Micros,
) -> Result<Vec<IpAddr>, LookupFault> {
    let v6 = Box::pin(one_family(resolver, name, RecordType::AAAA));
    let v4 = Box::pin(one_family(resolver, name, RecordType::A));
    let lag = lag.into();
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
async fn one_family(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host<String> {
        Host::parse(name).unwrap()
    }

    async fn any(resolver: &Resolver, host: &Host<String>) -> Result<Vec<IpAddr>, LookupFault> {
        resolver.addresses(host, Family::Any, limits::FAMILY_LAG_MAX).await
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn the_hosts_file_is_asked_first_and_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Files { resolv_conf: folder.path().join("resolv.conf"), hosts: folder.path().join("hosts") };
        let hosts = files.hosts.clone();
        // Nobody answers at this address: a name that the hosts file knows is not asked for anywhere.
        fs::write(&files.resolv_conf, "nameserver 127.0.0.77\n").unwrap();
        fs::write(&hosts, "127.0.0.5 chat.test other.test\n::5 chat.test\n127.0.0.6 chat.test\n").unwrap();
        let resolver = Resolver::with_files(Nameservers::System, files);
        let chat = host("Chat.test");
        assert_eq!(any(&resolver, &chat).await, Ok(vec![ip("::5"), ip("127.0.0.5"), ip("127.0.0.6")]));
        assert_eq!(any(&resolver, &host("other.test")).await, Ok(vec![ip("127.0.0.5")]));
        for (family, found) in [
            (Family::V4, Ok(vec![ip("127.0.0.5"), ip("127.0.0.6")])),
            (Family::V6, Ok(vec![ip("::5")])),
            (Family::Both, Ok(vec![ip("::5"), ip("127.0.0.5"), ip("127.0.0.6")])),
        ] {
            assert_eq!(resolver.addresses(&chat, family, Micros::ZERO).await, found, "{family:?}");
        }
        // What the file knows of the other family alone is not asked for anywhere else.
        let other = resolver.addresses(&host("other.test"), Family::V6, Micros::ZERO).await;
        assert_eq!(other, Err(LookupFault::NoAddress));

        fs::write(&hosts, "127.0.0.9 chat.test\n").unwrap();
        let earlier = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        fs::File::options().write(true).open(&hosts).unwrap().set_modified(earlier).unwrap();
        assert_eq!(any(&resolver, &chat).await, Ok(vec![ip("127.0.0.9")]));
    }

    #[tokio::test]
    async fn an_agent_without_nameservers_blames_itself_until_it_has_some() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Files { resolv_conf: folder.path().join("resolv.conf"), hosts: folder.path().join("hosts") };
        let resolv_conf = files.resolv_conf.clone();
        let resolver = Resolver::with_files(Nameservers::System, files);
        let localhost = host("localhost");
        assert!(matches!(any(&resolver, &localhost).await, Err(LookupFault::Agent(_))));
        fs::write(&resolv_conf, "nameserver 127.0.0.77\n").unwrap();
        assert_eq!(any(&resolver, &localhost).await, Ok(vec![ip("::1"), ip("127.0.0.1")]));
    }

    #[test]
    fn families_take_turns() {
        let list = |texts: &[&str]| texts.iter().map(|text| ip(text)).collect::<Vec<_>>();
        for (v6, v4, mixed) in [
            (&["::1", "::2", "::3"][..], &["1.1.1.1"][..], &["::1", "1.1.1.1", "::2", "::3"][..]),
            (&[], &["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"]),
            (&["::1"], &[], &["::1"]),
        ] {
            assert_eq!(alternate(list(v6), list(v4)), list(mixed));
        }
    }
}
