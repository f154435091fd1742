//! Looks at controls: servers and names that say whether this agent's own network is well. They are looked at as monitors
//! are: the same way to a server, the same egress filter, a deadline around all of it.

use quorate_proto::{Failure, FailureKind, MonitorSpec, Phase, monitor::Family, outcome::DnsFault};
use tokio::time::timeout;
use url::Host;

use super::{Prober, classify, plan::Plan, progress::Progress};
use crate::limits;

/// A control target, read.
pub struct ControlTarget {
    plan: Result<Plan, Failure>,
    /// Whether a TCP connection is all that is wanted of it.
    connects_only: bool,
}

impl Prober {
    /// Reads a control target. What is wrong with it is what every look at it fails with.
    pub fn control(&self, text: &str) -> ControlTarget {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        // The upgrade is a request that every HTTP server answers, one way or the other.
        let url = match scheme {
            "https" => format!("wss://{rest}"),
            "http" | "tcp" => format!("ws://{rest}"),
            _ => text.to_owned(),
        };
        let plan = match "control".parse() {
            Ok(id) => {
                let span = limits::CONTROL_WAIT;
                let spec = MonitorSpec { steps: Vec::new(), ..MonitorSpec::new(id, url, span, span) };
                Plan::new(&spec, self.region.as_ref()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let broken = |error| Failure::new(FailureKind::AgentFault, Phase::Dns, error);
        ControlTarget { plan: plan.map_err(broken), connects_only: scheme == "tcp" }
    }

    /// Whether a control target answers, with anything at all.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn look(&self, target: &ControlTarget) -> Result<(), Failure> {
        let plan = target.plan.as_ref().map_err(Failure::clone)?;
        let mut progress = Progress::new();
        let answer = async {
            if target.connects_only {
                self.connect(&plan.route, None.into(), &mut progress).await.map(drop)
            } else {
                self.open(plan, None, &mut progress).await.map(drop)
            }
        };
        match timeout(limits::CONTROL_WAIT.into(), answer).await {
            Ok(Err(failure)) if !is_answer(&failure.kind) => Err(failure),
            Ok(_) => Ok(()),
            Err(_) => progress.waited(limits::CONTROL_WAIT).map_or(Ok(()), Err),
        }
    }

    /// Whether the nameservers give an address for a name. The search list has no say.
    ///
    /// # Errors
    /// Why there is no answer, where that is not that the name does not exist or has no address.
    pub async fn has_address(&self, name: &str) -> Result<bool, Failure> {
        let host = Host::Domain(format!("{}.", name.trim_end_matches('.')));
        let lookup = self.resolver.addresses(&host, Family::Any, limits::FAMILY_LAG_MAX);
        let fail = |(kind, detail)| Failure::new(kind, Phase::Dns, detail);
        let failure = match timeout(limits::CONTROL_WAIT.into(), lookup).await {
            Ok(Ok(addresses)) => return Ok(!addresses.is_empty()),
            Ok(Err(fault)) => fail(classify::lookup_failure(fault, name, Family::Any)),
            Err(_) => fail(classify::lookup_failure(classify::LookupFault::Timeout, name, Family::Any)),
        };
        let is_no = matches!(failure.kind, FailureKind::Dns(DnsFault::NotFound | DnsFault::NoAddress));
        if is_no { Ok(false) } else { Err(failure) }
    }
}

/// Whether a failure is an answer: the server spoke, and a control need not speak WebSocket.
fn is_answer(kind: &FailureKind) -> bool {
    matches!(kind, FailureKind::UpgradeStatus(_) | FailureKind::UpgradeInvalid(_))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        egress::Egress,
        probe::{Nameservers, Options},
    };

    fn prober(egress: Egress) -> Prober {
        let nameservers = Nameservers::default();
        Prober::new(Options { egress, region: None, nameservers, proxy: None }).unwrap()
    }

    /// A server that says this to everybody; silent where it is empty.
    async fn server(words: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if words.is_empty() {
                    silent.push(stream);
                    continue;
                }
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(words.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn any_answer_will_do_and_silence_will_not() {
        let found = server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        let other = server("SSH-2.0-x\r\n").await;
        let silent = server("").await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let prober = prober("private".parse().unwrap());
        for (target, kind) in [
            (format!("http://{found}/"), None),
            (format!("ws://{found}/x"), None),
            (format!("ws://{other}"), None),
            (format!("tcp://{silent}"), None),
            (format!("http://{silent}/"), Some("upgrade_timeout")),
            (format!("tcp://{nobody}"), Some("connection_refused")),
            (format!("https://{found}/"), Some("tls_handshake")),
            ("gopher://x".to_owned(), Some("agent_fault")),
        ] {
            let answer = prober.look(&prober.control(&target)).await;
            assert_eq!(answer.err().map(|failure| failure.kind.name()), kind, "{target}");
        }
    }

    #[tokio::test]
    async fn the_egress_filter_stands_in_front_of_controls() {
        let listens = server("").await;
        let prober = prober(Egress::Public);
        let failure = prober.look(&prober.control(&format!("tcp://{listens}"))).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::EgressBlocked);
    }
}
