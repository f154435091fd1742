//! What errors of name resolution mean.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the errors of other crates are open-ended; the rest of them is one case here"
)]

use hickory_resolver::net::{DnsError, NetError};
use quorate_proto::{FailureKind, monitor::Family, outcome::DnsFault};

use super::{Seen, socket::is_own_fault};
use crate::probe::quote::quote;

/// Why a lookup gave no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupFault {
    NotFound,
    NoAddress,
    ServerFailure(String),
    Timeout,
    Agent(String),
}

/// An error of a nameserver, or on the way to it.
pub(crate) fn lookup(error: &NetError) -> LookupFault {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) if error.is_nx_domain() => LookupFault::NotFound,
        NetError::Dns(DnsError::NoRecordsFound(_)) => LookupFault::NoAddress,
        NetError::Timeout => LookupFault::Timeout,
        NetError::Busy => LookupFault::Agent("too many lookups are on their way".to_owned()),
        NetError::Io(error) if is_own_fault(error) => LookupFault::Agent(error.to_string()),
        other => LookupFault::ServerFailure(quote(&other.to_string())),
    }
}

/// What two failed lookups say together. That the name does not exist outweighs all; a real error outweighs the other
/// family having no address.
pub(crate) fn both_lookups_failed(v6: LookupFault, v4: LookupFault) -> LookupFault {
    let weight = |fault: &LookupFault| match fault {
        LookupFault::NoAddress => 0,
        LookupFault::Timeout => 1,
        LookupFault::ServerFailure(_) => 2,
        LookupFault::Agent(_) => 3,
        LookupFault::NotFound => 4,
    };
    if weight(&v6) > weight(&v4) { v6 } else { v4 }
}

/// The failure that a failed lookup is.
pub(crate) fn lookup_failure(fault: LookupFault, host: &str, family: Family) -> Seen {
    match fault {
        LookupFault::NotFound => {
            (FailureKind::Dns(DnsFault::NotFound), format!("the nameserver says NXDOMAIN for {host}"))
        }
        LookupFault::NoAddress => {
            let detail = match family {
                Family::Any | Family::Both => format!("{host} has neither an A nor an AAAA record"),
                Family::V4 => format!("{host} has no A record, and IPv4 alone is to be checked"),
                Family::V6 => format!("{host} has no AAAA record, and IPv6 alone is to be checked"),
            };
            (FailureKind::Dns(DnsFault::NoAddress), detail)
        }
        LookupFault::ServerFailure(what) => {
            (FailureKind::Dns(DnsFault::ServerFailure), format!("for {host} the nameserver says: {what}"))
        }
        LookupFault::Timeout => {
            (FailureKind::Dns(DnsFault::Timeout), format!("no nameserver answered for {host}"))
        }
        LookupFault::Agent(what) => {
            (FailureKind::AgentFault, format!("the agent cannot look up {host}: {what}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failed_lookups_are_one() {
        use LookupFault::{NoAddress, NotFound, Timeout};
        let broken = LookupFault::ServerFailure("SERVFAIL".into());
        for (v6, v4, both) in [
            (NoAddress, NoAddress, NoAddress),
            (NoAddress, Timeout, Timeout),
            (NoAddress, broken.clone(), broken.clone()),
            (broken.clone(), Timeout, broken.clone()),
            (NotFound, Timeout, NotFound),
        ] {
            assert_eq!(both_lookups_failed(v6.clone(), v4.clone()), both);
            assert_eq!(both_lookups_failed(v4, v6), both);
        }
    }
}
