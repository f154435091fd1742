//! What paging tells, in words: groups of monitors, monitors that flap, agents that are offline; and an incident that is
//! told later than it was decided.

use quorate_proto::{AgentKey, AgentName, Micros, MonitorId, WallMicros};
use quorate_quorum::{
    Moment, Verdict,
    paging::{AgentAway, AgentsBack, AgentsOffline, FlappingTurn, GroupTurn, Phase, VoterLoss},
};

use super::{Announcement, announce};
use crate::{
    config::{Channel, Monitor},
    limits,
    model::{
        AgentsAlert, AwayAgent, ChannelId, FlappingAlert, GroupAlert, GroupedMonitor, LosingMonitor,
        MonitorReference, Tracked,
    },
};

/// Who hears of an incident that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whoever wants to hear of its verdict, and whoever knows of it.
    All,
    /// Whoever knows of it.
    Knowing,
}

/// Tells of an open incident as it stands. Notes who was told.
pub fn tell(
    tracked: &mut Tracked,
    monitor: &Monitor,
    channels: &[Channel],
    reach: Reach,
) -> Vec<Announcement> {
    let knowing = |channel: &&Channel| reach == Reach::All || tracked.told.contains(&channel.id);
    let channels = channels.iter().filter(knowing).cloned().collect::<Vec<_>>();
    match Verdict::from_name(&tracked.incident.verdict) {
        Some(verdict) => announce(monitor, &channels, verdict, tracked),
        None => Vec::new(),
    }
}

/// The name of a group for people and programs.
pub fn group_id(group: Moment) -> String {
    format!("grp_{}", group.0)
}

/// Many monitors at once.
pub fn group(
    turn: &GroupTurn,
    name: impl Fn(&MonitorId) -> MonitorReference,
    began_at: WallMicros,
    at: WallMicros,
) -> GroupAlert {
    let size = turn.members.len();
    let open = turn.members.iter().filter(|member| !member.is_over).count();
    let new = turn.members.iter().filter(|member| member.is_new).count();
    let paged = turn.members.iter().filter(|member| member.is_paged).count();
    let summary = match turn.phase {
        Phase::Began => {
            let before = match paged {
                0 => String::new(),
                1 => " One of them was paged on its own before.".to_owned(),
                _ => format!(" {paged} of them were paged on their own before."),
            };
            format!(
                "{size} of {} monitors went down within a minute of one another, on {} unrelated targets.{before}",
                turn.monitors, turn.targets
            )
        }
        Phase::Goes if new > 0 => {
            format!("{new} more went down: {open} of {} monitors are down in all.", turn.monitors)
        }
        Phase::Goes => format!("{} of {size} are up again; {open} are not.", size - open),
        Phase::Ended => format!("All {size} are up again, after {}.", whole(at.since(began_at))),
    };
    let hint = match turn.phase {
        Phase::Began | Phase::Goes => {
            "Possibly on our side: see whether the agents reach the network at all, and what these monitors share (name \
             servers, a provider, a proxy), before you look at each server."
        }
        Phase::Ended => "",
    };
    let mut monitors = turn
        .members
        .iter()
        .map(|member| GroupedMonitor {
            monitor: name(&member.monitor),
            over: member.is_over,
            paged: member.is_paged,
            new: member.is_new,
        })
        .collect::<Vec<_>>();
    monitors.sort_by_key(|monitor| (!monitor.new, monitor.over));
    let monitors_omitted = cut(&mut monitors);
    GroupAlert {
        id: group_id(turn.group),
        summary,
        hint: hint.to_owned(),
        began_at,
        resolved_at: (turn.phase == Phase::Ended).then_some(at),
        open,
        size,
        monitors_watched: turn.monitors,
        monitors,
        monitors_omitted,
    }
}

/// A monitor that flaps.
pub fn flapping(
    turn: &FlappingTurn,
    monitor: MonitorReference,
    since: WallMicros,
    cause: Option<String>,
) -> FlappingAlert {
    let state = match turn.verdict {
        Some(Verdict::Up) => "up",
        Some(Verdict::Partial) => "failing in some regions",
        Some(Verdict::Down) => "down",
        Some(Verdict::Unobserved) => "not observed",
        None => "removed from the configuration",
    };
    let (down, down_new) = (whole(turn.down_for), whole(turn.down_new));
    let summary = match turn.phase {
        Phase::Began => format!(
            "It went down or came back {} times within ten minutes, and was down for {down}; it is {state}. It is not \
             paged for each time: a digest follows, until it has been stable for ten minutes.",
            turn.edges
        ),
        Phase::Goes => format!(
            "It flaps still: down or back {} times since the last message, and down for {down_new}; it is {state}.",
            turn.edges_new
        ),
        Phase::Ended if turn.verdict.is_none() => {
            format!(
                "It was {state}. It had gone down or come back {} times, and was down for {down}.",
                turn.edges
            )
        }
        Phase::Ended => format!(
            "It has been stable for ten minutes: it is {state}. It went down or came back {} times in all, and was down \
             for {down}.",
            turn.edges
        ),
    };
    FlappingAlert {
        monitor,
        summary,
        verdict: turn.verdict.map(|verdict| verdict.name().to_owned()),
        since,
        changes: turn.edges,
        changes_new: turn.edges_new,
        down_seconds: turn.down_for.as_secs_f64(),
        down_seconds_new: turn.down_new.as_secs_f64(),
        cause,
    }
}

/// Agents that are offline.
pub fn agents_offline(
    offline: &AgentsOffline,
    agent_name: impl Fn(&AgentKey) -> Option<AgentName>,
    monitor_name: impl Fn(&MonitorId) -> MonitorReference,
    wall: impl Fn(Moment) -> WallMicros,
) -> AgentsAlert {
    let mut agents = mentions(&offline.agents, agent_name, wall);
    let who = list(&agents);
    let is_one = agents.len() == 1;
    let blind = offline.monitors.iter().filter(|loss| loss.needed.is_none()).count();
    let loss = match (offline.monitors.len(), blind) {
        (0, _) if offline.agents.iter().all(|agent| agent.substitutes > 0) => {
            "No monitor loses a voter: another agent stands in the same region.".to_owned()
        }
        (0, _) => "No monitor loses a voter.".to_owned(),
        (losing, blind) => {
            let verb = if losing == 1 { "1 monitor loses" } else { &format!("{losing} monitors lose") };
            let rest = match blind {
                0 => "for each of them enough are left to say down.".to_owned(),
                blind if blind == losing => "too few are left to say anything.".to_owned(),
                blind => format!("for {blind} of them too few are left to say anything."),
            };
            format!("{verb} a voter; {rest}")
        }
    };
    let hint = match (offline.heard, is_one) {
        (0, _) => "No agent is heard at all: look at the aggregator's own network and its UDP port first.",
        (_, false) => {
            "They fell silent together: look for what they share, the aggregator's own network included."
        }
        (_, true) => {
            "See whether its machine runs, what its log says, and whether UDP gets through to the aggregator."
        }
    };
    let mut monitors = offline.monitors.iter().map(|loss| losing(loss, &monitor_name)).collect::<Vec<_>>();
    monitors.sort_by_key(|monitor| (monitor.needed.is_some(), monitor.voters));
    let (agents_omitted, monitors_omitted) = (cut(&mut agents), cut(&mut monitors));
    let verb = if is_one { "Agent" } else { "Agents" };
    let are = if is_one { "is" } else { "are" };
    AgentsAlert {
        summary: format!("{verb} {who} {are} offline. {loss}"),
        hint: hint.to_owned(),
        agents,
        agents_omitted,
        monitors,
        monitors_omitted,
    }
}

/// Agents that are back.
pub fn agents_back(
    back: &AgentsBack,
    agent_name: impl Fn(&AgentKey) -> Option<AgentName>,
    wall: impl Fn(Moment) -> WallMicros,
) -> AgentsAlert {
    let mut agents = mentions(&back.agents, agent_name, wall);
    let (verb, are) = if agents.len() == 1 { ("Agent", "is") } else { ("Agents", "are") };
    let away = match back.away {
        0 => "No other is offline.".to_owned(),
        1 => "1 other is still offline.".to_owned(),
        away => format!("{away} others are still offline."),
    };
    let summary = format!("{verb} {} {are} back. {away}", list(&agents));
    let agents_omitted = cut(&mut agents);
    AgentsAlert {
        summary,
        hint: String::new(),
        agents,
        agents_omitted,
        monitors: Vec::new(),
        monitors_omitted: 0,
    }
}

/// The channels that hear of agents.
pub fn operators(channels: &[Channel]) -> Vec<ChannelId> {
    channels.iter().filter(|channel| channel.operator).map(|channel| channel.id.clone()).collect()
}

fn losing(loss: &VoterLoss, name: impl Fn(&MonitorId) -> MonitorReference) -> LosingMonitor {
    let VoterLoss { monitor, voters, of, needed } = loss;
    LosingMonitor { monitor: name(monitor), voters: *voters, of: *of, needed: *needed }
}

fn mentions(
    agents: &[AgentAway],
    name: impl Fn(&AgentKey) -> Option<AgentName>,
    wall: impl Fn(Moment) -> WallMicros,
) -> Vec<AwayAgent> {
    let mention = |away: &AgentAway| {
        let last_seen_at = away.heard.map(&wall);
        let (region, substitutes) = (away.region.clone(), away.substitutes);
        Some(AwayAgent { name: name(&away.agent)?, region, last_seen_at, substitutes })
    };
    agents.iter().filter_map(mention).collect()
}

/// `a (eu), b (us) and 3 more`.
fn list(agents: &[AwayAgent]) -> String {
    let named = agents.iter().take(limits::ALERT_NAMES_MAX);
    let names =
        named.map(|agent| format!("{} ({})", agent.name, agent.region)).collect::<Vec<_>>().join(", ");
    match agents.len().saturating_sub(limits::ALERT_NAMES_MAX) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// Keeps the bound of a list in an alert; gives how many were left out.
fn cut<T>(list: &mut Vec<T>) -> usize {
    let omitted = list.len().saturating_sub(limits::ALERT_LIST_MAX);
    list.truncate(limits::ALERT_LIST_MAX);
    omitted
}

/// A span without fractions of a second.
fn whole(span: Micros) -> Micros {
    Micros::from_secs(span.0 / 1_000_000)
}

#[cfg(test)]
mod tests {
    use quorate_quorum::paging::GroupMember;

    use super::*;

    fn reference(id: &MonitorId) -> MonitorReference {
        MonitorReference { id: id.clone(), name: id.to_string().to_uppercase(), url: String::new() }
    }

    fn member(id: usize, is_over: bool, is_paged: bool, is_new: bool) -> GroupMember {
        GroupMember { monitor: format!("m{id}").parse().unwrap(), is_over, is_paged, is_new }
    }

    #[test]
    fn groups_read_as_sentences_and_their_lists_are_bounded() {
        let turn = |phase, members: Vec<GroupMember>| GroupTurn {
            group: Moment(7),
            phase,
            targets: members.len(),
            members,
            monitors: 40,
        };
        let told = |turn: &GroupTurn| group(turn, reference, WallMicros(0), WallMicros(61_500_000));
        let opened = told(&turn(Phase::Began, (0..30).map(|id| member(id, false, id == 3, true)).collect()));
        assert_eq!(
            opened.summary,
            "30 of 40 monitors went down within a minute of one another, on 30 unrelated targets. One of them was paged on \
             its own before."
        );
        assert!(opened.hint.starts_with("Possibly on our side"));
        assert_eq!((opened.monitors.len(), opened.monitors_omitted, opened.open), (25, 5, 30));
        assert_eq!((opened.id.as_str(), opened.resolved_at), ("grp_7", None));
        let grown = told(&turn(Phase::Goes, (0..30).map(|id| member(id, id < 2, false, id == 29)).collect()));
        assert_eq!(grown.summary, "1 more went down: 28 of 40 monitors are down in all.");
        assert_eq!(grown.monitors[0].monitor.name, "M29", "what is new comes first");
        let shrunk = told(&turn(Phase::Goes, (0..5).map(|id| member(id, id < 2, false, false)).collect()));
        assert_eq!(shrunk.summary, "2 of 5 are up again; 3 are not.");
        assert!(shrunk.monitors[4].over, "what is over comes last");
        let ended = told(&turn(Phase::Ended, (0..5).map(|id| member(id, true, false, false)).collect()));
        assert_eq!(ended.summary, "All 5 are up again, after 61s.");
        assert_eq!(ended.resolved_at, Some(WallMicros(61_500_000)));
    }

    #[test]
    fn agents_read_as_sentences() {
        let away = |key: u8, substitutes| AgentAway {
            agent: AgentKey([key; 32]),
            region: format!("r{key}").parse().unwrap(),
            heard: Some(Moment(1_000_000)),
            substitutes,
        };
        let loss =
            |id: &str, voters, needed| VoterLoss { monitor: id.parse().unwrap(), voters, of: 3, needed };
        let name = |agent: &AgentKey| Some(format!("a{}", agent.0[0]).parse().unwrap());
        let told = |agents, heard, monitors| {
            let offline = AgentsOffline { agents, heard, monitors };
            agents_offline(&offline, name, reference, Moment::to_wall)
        };
        for (alert, summary, hint) in [
            (
                told(vec![away(1, 1)], 3, vec![]),
                "Agent a1 (r1) is offline. No monitor loses a voter: another agent stands in the same region.",
                "See whether its machine runs",
            ),
            (
                told(vec![away(1, 0)], 2, vec![loss("a", 2, Some(2)), loss("b", 1, None)]),
                "Agent a1 (r1) is offline. 2 monitors lose a voter; for 1 of them too few are left to say anything.",
                "See whether",
            ),
            (
                told((1..8).map(|key| away(key, 0)).collect(), 0, vec![loss("a", 0, None)]),
                "Agents a1 (r1), a2 (r2), a3 (r3), a4 (r4), a5 (r5) and 2 more are offline. 1 monitor loses a voter; too few \
                 are left to say anything.",
                "No agent is heard at all",
            ),
        ] {
            assert_eq!(alert.summary, summary);
            assert!(alert.hint.starts_with(hint), "{}", alert.hint);
        }
        let sorted = told(vec![away(1, 0)], 2, vec![loss("a", 2, Some(2)), loss("b", 1, None)]);
        assert_eq!(sorted.monitors[0].monitor.name, "B", "what nobody can tell of comes first");
        let back = AgentsBack { agents: vec![away(1, 0)], away: 2 };
        let back = agents_back(&back, name, Moment::to_wall);
        assert_eq!(back.summary, "Agent a1 (r1) is back. 2 others are still offline.");
    }

    #[test]
    fn flapping_reads_as_sentences() {
        let turn = |phase, verdict| FlappingTurn {
            monitor: "shop".parse().unwrap(),
            phase,
            verdict,
            since: Moment(0),
            edges: 10,
            edges_new: 7,
            down_for: Micros(90_400_000),
            down_new: Micros::from_secs(30),
        };
        let told = |phase, verdict| {
            flapping(&turn(phase, verdict), reference(&"shop".parse().unwrap()), WallMicros(0), None).summary
        };
        assert_eq!(
            told(Phase::Goes, Some(Verdict::Down)),
            "It flaps still: down or back 7 times since the last message, and down for 30s; it is down."
        );
        assert_eq!(
            told(Phase::Ended, Some(Verdict::Partial)),
            "It has been stable for ten minutes: it is failing in some regions. It went down or came back 10 times in all, \
             and was down for 90s."
        );
        assert!(told(Phase::Ended, None).starts_with("It was removed from the configuration."));
        assert!(told(Phase::Began, Some(Verdict::Up)).contains("10 times within ten minutes"));
    }
}
