//! Self-doubt: why an agent says of itself that it cannot be trusted at present, and what it looks at to find out.
//!
//! An agent that is starved, cut off or lied to sees faults everywhere, and none of them is a server's. So it watches
//! itself; while anything here holds, and until it has been clean for [`limits::DOUBT_CLEAN`], its vote abstains.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{limits, time::Micros};

/// Why an agent doubts itself, the gravest first. Closed: it grows only at its end, and only with a new codec version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Doubt {
    /// Its machine slept: what was under way ran out of time meanwhile.
    Suspended,
    /// Its event loop did not run when it had to, so that its timers tell of itself.
    EventLoopLate,
    /// Its checks start late: it does not manage what it is given.
    ScheduleLate,
    /// Half of its control targets or more do not answer: its own network is the likely fault.
    ControlsFailing,
    /// Its nameservers do not resolve a name that is known to exist.
    ResolverFailing,
    /// Its nameservers give addresses for a name that is known not to exist.
    ResolverLying,
    /// Its spool cannot be written, so that what it finds is lost when it restarts.
    SpoolFailing,
    /// It has hardly any file descriptors left, and a check needs one.
    DescriptorsShort,
}

/// One doubt of an agent, as it reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtReport {
    /// Which doubt.
    pub doubt: Doubt,
    /// Since when, counted back from the report.
    pub lasting: Micros,
    /// What was seen last, with the numbers; at most [`limits::DETAIL_BYTES_MAX`] bytes.
    pub detail: String,
}

/// What agents look at to see whether they themselves are the fault. All of it is the operator's choice: an agent asks
/// nobody whom it was not told to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controls {
    /// Servers that answer as a rule, on networks that have nothing to do with each other: `wss://`, `ws://`, `https://`
    /// and `http://` URLs, of which any answer counts, and `tcp://host:port`. None, or [`limits::CONTROLS_MIN`] to
    /// [`limits::CONTROLS_MAX`].
    pub targets: Vec<String>,
    /// From one look at a target, or at the resolver, to the next.
    pub every: Micros,
    /// A name that the nameservers must resolve; none: it is not looked at.
    pub resolves: Option<String>,
    /// A name for which they must give no address; none: it is not looked at.
    pub resolves_not: Option<String>,
}

impl Doubt {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Suspended,
        Self::EventLoopLate,
        Self::ScheduleLate,
        Self::ControlsFailing,
        Self::ResolverFailing,
        Self::ResolverLying,
        Self::SpoolFailing,
        Self::DescriptorsShort,
    ];

    /// The stable name, for JSON, metrics and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::EventLoopLate => "event_loop_late",
            Self::ScheduleLate => "schedule_late",
            Self::ControlsFailing => "controls_failing",
            Self::ResolverFailing => "resolver_failing",
            Self::ResolverLying => "resolver_lying",
            Self::SpoolFailing => "spool_failing",
            Self::DescriptorsShort => "descriptors_short",
        }
    }

    /// The doubt of a stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.name() == name)
    }

    /// What is the matter, as a clause behind "the agent doubts itself:".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Suspended => "its machine was suspended",
            Self::EventLoopLate => "its event loop is late",
            Self::ScheduleLate => "its checks start late",
            Self::ControlsFailing => "its control targets do not answer",
            Self::ResolverFailing => "its nameservers do not resolve a name that exists",
            Self::ResolverLying => "its nameservers resolve a name that does not exist",
            Self::SpoolFailing => "its spool cannot be written",
            Self::DescriptorsShort => "it is short of file descriptors",
        }
    }

    /// What to do about it, in one sentence.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Suspended => "Keep its machine from sleeping, or let another machine watch.",
            Self::EventLoopLate => "Give its machine more CPU, or take other work off it.",
            Self::ScheduleLate => {
                "Give it fewer monitors or longer intervals, or put another agent into its region."
            }
            Self::ControlsFailing => {
                "Look at the network of its machine: uplink, routes, firewall; where that is well, at the targets."
            }
            Self::ResolverFailing => "Look at its resolv.conf, and at the nameservers that it names.",
            Self::ResolverLying => "Give it nameservers that answer NXDOMAIN for what does not exist.",
            Self::SpoolFailing => "Make room on the disk of its state folder, or mend that disk.",
            Self::DescriptorsShort => "Raise its limit of open files, as with LimitNOFILE= of its service.",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Controls {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.resolves.is_none() && self.resolves_not.is_none()
    }

    /// Whether every list and text is within its bound.
    pub fn is_within_limits(&self) -> bool {
        let names = [&self.resolves, &self.resolves_not];
        (self.targets.is_empty()
            || (limits::CONTROLS_MIN..=limits::CONTROLS_MAX).contains(&self.targets.len()))
            && self.targets.iter().all(|target| target.len() <= limits::CONTROL_BYTES_MAX)
            && names.into_iter().flatten().all(|name| name.len() <= limits::ADDRESS_BYTES_MAX)
            && (self.is_empty()
                || (limits::CONTROL_EVERY_MIN..=limits::CONTROL_EVERY_MAX).contains(&self.every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_lead_back() {
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::from_name(doubt.name()), Some(doubt));
            assert!(doubt.advice().ends_with('.') && !doubt.words().ends_with('.'), "{doubt}");
        }
        assert!(Doubt::ALL.is_sorted());
        assert_eq!(Doubt::from_name("tired"), None);
    }

    #[test]
    fn controls_are_bounded() {
        let targets = |count: usize, bytes: usize| Controls {
            targets: vec!["x".repeat(bytes); count],
            every: Micros::from_secs(15),
            ..Controls::default()
        };
        assert!(Controls::default().is_within_limits() && Controls::default().is_empty());
        for (controls, fits) in [
            (targets(2, 1), false),
            (targets(3, limits::CONTROL_BYTES_MAX), true),
            (targets(3, limits::CONTROL_BYTES_MAX + 1), false),
            (targets(limits::CONTROLS_MAX, 1), true),
            (targets(limits::CONTROLS_MAX + 1, 1), false),
            (Controls { every: Micros::from_secs(1), ..targets(3, 1) }, false),
            (Controls { resolves: Some("x".repeat(limits::ADDRESS_BYTES_MAX + 1)), ..targets(3, 1) }, false),
        ] {
            assert_eq!(controls.is_within_limits(), fits, "{controls:.100?}");
        }
    }
}
