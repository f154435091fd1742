//! How a check gets its connection: names to addresses, past a proxy or straight, through the egress filter.

use std::net::{IpAddr, SocketAddr};

use quorate_proto::{Failure, FailureKind, Micros, Phase, monitor::Family};
use url::Host;

use super::{
    Prober, classify, dial,
    progress::Progress,
    proxy::{self, ProxyRoute},
    route::Route,
    tcp::Tcp,
};
use crate::limits;

/// Where an attempt connects to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// Whichever address answers first; this one is tried last.
    Any { avoid: Option<IpAddr> },
    /// This one.
    Only(SocketAddr),
}

impl From<Option<IpAddr>> for To {
    fn from(avoid: Option<IpAddr>) -> Self {
        Self::Any { avoid }
    }
}

impl Prober {
    /// A TCP connection that leads to the server.
    pub(super) async fn connect(
        &self,
        route: &Route,
        to: To,
        progress: &mut Progress,
    ) -> Result<Tcp, Failure> {
        let addresses = match (to, self.proxy_of(route)) {
            (To::Only(address), _) => vec![address],
            (To::Any { avoid }, None) => self.server(route, avoid, progress).await?,
            (To::Any { avoid }, Some(proxy)) => return self.through(proxy, route, avoid, progress).await,
        };
        progress.enter(Phase::Tcp, "");
        dial::connect(&self.egress, addresses, progress).await
    }

    /// The same through a proxy.
    async fn through(
        &self,
        proxy: &ProxyRoute,
        route: &Route,
        avoid: Option<IpAddr>,
        progress: &mut Progress,
    ) -> Result<Tcp, Failure> {
        progress.facts.proxy = Some(proxy.to_string());
        if let Some(address) = literal(&route.host)
            && let Err(refusal) = self.egress.check(address)
        {
            progress.enter(Phase::Tcp, "");
            return Err(progress.fail((FailureKind::EgressBlocked, refusal.to_string())));
        }
        progress.blame(Some(FailureKind::Proxy));
        let (family, lag) = (Family::Any, limits::FAMILY_LAG_MAX);
        let addresses = self.resolve(&proxy.host, proxy.port, family, lag, avoid, progress).await;
        let addresses = addresses.map_err(|failure| proxy.unreached(failure))?;
        progress.enter(Phase::Tcp, "");
        let connected = dial::connect(&self.egress, addresses, progress).await;
        let mut tcp = connected.map_err(|failure| proxy.unreached(failure))?;
        progress.blame(None);
        proxy::tunnel(&mut tcp, proxy, route, progress).await?;
        Ok(tcp)
    }

    /// The proxy that leads to a server: the monitor's own, or the agent's.
    pub(super) fn proxy_of<'a>(&'a self, route: &'a Route) -> Option<&'a ProxyRoute> {
        route.proxy.as_ref().or(self.proxy.as_ref())
    }

    /// The addresses of a server. Where each is to be checked, the second family is worth waiting for.
    pub(super) async fn server(
        &self,
        route: &Route,
        avoid: Option<IpAddr>,
        progress: &mut Progress,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let lag = if route.is_for_each() { limits::FAMILY_LAG_FOR_EACH_MAX } else { limits::FAMILY_LAG_MAX };
        self.resolve(&route.host, route.port, route.family, lag, avoid, progress).await
    }

    async fn resolve(
        &self,
        host: &Host<String>,
        port: u16,
        family: Family,
        lag: Micros,
        avoid: Option<IpAddr>,
        progress: &mut Progress,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let is_name = matches!(host, Host::Domain(_));
        if is_name {
            progress.enter(Phase::Dns, format!("no nameserver answered for {host}"));
        }
        let found = self.resolver.addresses(host, family, lag).await;
        let mut addresses = found
            .map_err(|fault| progress.fail(classify::lookup_failure(fault, &host.to_string(), family)))?;
        if is_name {
            progress.leave();
        }
        addresses.sort_by_key(|address| Some(*address) == avoid);
        progress.facts.resolved.clone_from(&addresses);
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

fn literal(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    }
}
