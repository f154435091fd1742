//! Whom to tell, and when not: from checks to deliveries, and through restarts.

use quorate_proto::{Micros, Outcome};
use quorate_quorum::uptime::Stretch;

use super::bench::{Bench, REGIONS, config};
use crate::{
    config::{Config, MaintenancePlan, MaintenanceTimes, Monitor},
    model::{AlertEvent, Incident, Intake, fixture},
    store::fixture::{check, refused},
};

/// A monitor of a target of its own.
fn monitor(id: &str, depends_on: &[&str]) -> Monitor {
    let mut monitor = fixture::monitor(id, &REGIONS);
    monitor.spec.url = format!("wss://{id}.org/socket");
    monitor.depends_on = depends_on.iter().map(|parent| parent.parse().unwrap()).collect();
    monitor
}

fn family() -> Config {
    config(vec![monitor("gateway", &[]), monitor("chat", &["gateway"])], &["x"])
}

fn many() -> Config {
    config((0..8).map(|number| monitor(&format!("m{number}"), &[])).collect(), &["x", "y"])
}

fn bench(config: &Config) -> Bench {
    let mut bench = Bench::new(config.clone());
    for region in REGIONS {
        bench.enrol(region);
    }
    bench.connect_all();
    work(&mut bench, 15, &[], &[]);
    bench.heard();
    bench
}

/// Lets the fleet work for some seconds: every agent checks all monitors every five seconds. `fails` are those that fail,
/// `silent` the agents that are not there.
fn work(bench: &mut Bench, seconds: u64, fails: &[&str], silent: &[usize]) {
    let monitors = bench.core.config.monitors.iter().map(|one| one.spec.id.to_string()).collect::<Vec<_>>();
    for second in 0..seconds {
        for index in (0..bench.agents.len()).filter(|index| !silent.contains(index)) {
            if (second + u64::try_from(index).unwrap()) % 5 == 0 {
                bench.health(index);
                let found = |id: &String| match fails.contains(&id.as_str()) {
                    true => refused(id, "refused"),
                    false => check(id, Outcome::Passed),
                };
                let results = monitors.iter().map(found).collect();
                drop(bench.batch(index, results));
            }
        }
        bench.pass(Micros::from_secs(1));
    }
}

fn kill(bench: &mut Bench, config: &Config) {
    kill_without(bench, config, 9);
}

/// One agent does not come back.
fn kill_without(bench: &mut Bench, config: &Config, absent: usize) {
    bench.kill(config.clone());
    let revision = bench.core.assignments.revision;
    for index in (0..bench.agents.len()).filter(|index| *index != absent) {
        bench.connect(index, revision);
    }
}

/// What was dispatched, as `event subject`, and forgets it.
fn heard(bench: &mut Bench) -> Vec<String> {
    let words = |delivery: crate::model::Delivery| {
        let event = &delivery.alert.event;
        let subject = match event.incident() {
            Some(incident) => incident.monitor.id.to_string(),
            None => event.subject().unwrap_or_default().to_owned(),
        };
        format!("{} {subject}", event.name()).trim_end().to_owned()
    };
    bench.dispatched.drain(..).map(words).collect()
}

fn incidents(bench: &Bench) -> Vec<Incident> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cursor = crate::store::Cursor { before: None, limit: 100 };
    runtime.block_on(bench.reader.incidents(None, None, &cursor)).unwrap().items
}

#[test]
fn a_child_is_held_while_its_parent_is_down_and_recorded() {
    let config = family();
    let mut bench = bench(&config);
    work(&mut bench, 30, &["gateway", "chat"], &[]);
    assert_eq!(heard(&mut bench), ["incident.opened gateway"]);
    let chat = bench.picture.monitors.iter().find(|one| one.id.as_str() == "chat").unwrap();
    assert_eq!(chat.held_by, ["gateway".parse().unwrap()]);
    let open = bench.picture.incidents_open.iter().find(|one| one.monitor.id.as_str() == "chat").unwrap();
    assert_eq!(open.held_by, ["gateway".parse().unwrap()]);

    // Both recover: the child without a word, and its incident is on record.
    work(&mut bench, 60, &[], &[]);
    assert_eq!(heard(&mut bench), ["incident.resolved gateway"]);
    assert!(incidents(&bench).iter().all(|incident| incident.resolved_at.is_some()));
    assert_eq!(incidents(&bench).len(), 2);

    // The next time the child stays down. Killed in between, it is told all the same, and once.
    work(&mut bench, 30, &["gateway", "chat"], &[]);
    kill(&mut bench, &config);
    work(&mut bench, 25, &["chat"], &[]);
    kill(&mut bench, &config);
    work(&mut bench, 60, &["chat"], &[]);
    let told = heard(&mut bench);
    assert_eq!(told.iter().filter(|text| *text == "incident.opened chat").count(), 1, "{told:?}");
    let open = bench.picture.incidents_open.iter().find(|one| one.monitor.id.as_str() == "chat").unwrap();
    assert_eq!(open.held_by, [], "it is held no longer");
    bench.dispatched.clear();
    work(&mut bench, 60, &[], &[]);
    assert_eq!(heard(&mut bench), ["incident.resolved chat"]);
}

/// Both in one maintenance: at its end the gateway is told, and the child waits for it as ever. A child that is held
/// for both reasons, as one that was partial before its gateway failed, is not told while the gateway is down.
#[test]
fn a_child_in_maintenance_waits_for_its_parent_as_well() {
    let config = family();
    let mut bench = bench(&config);
    let from = bench.now.wall;
    let plan = MaintenancePlan {
        id: "all".to_owned(),
        name: "All".to_owned(),
        reason: String::new(),
        monitors: None,
        times: MaintenanceTimes::Once(Stretch { from, to: from.after(Micros::from_secs(60)) }),
    };
    let maintained = Config { maintenance: vec![plan], ..config };
    bench.tell(Intake::Configure(std::sync::Arc::new(maintained)));
    work(&mut bench, 40, &["gateway", "chat"], &[]);
    assert_eq!(heard(&mut bench), [""; 0]);
    let child: quorate_proto::MonitorId = "chat".parse().unwrap();
    let open = bench.core.incidents.get_mut(&child).unwrap();
    assert_eq!(open.incident.held_by, ["gateway".parse().unwrap()]);
    open.incident.held_for_maintenance = true;

    work(&mut bench, 40, &["gateway", "chat"], &[]);
    assert_eq!(heard(&mut bench), ["incident.opened gateway"]);
    work(&mut bench, 90, &["chat"], &[]);
    assert_eq!(heard(&mut bench), ["incident.resolved gateway", "incident.opened chat"]);
    assert!(!bench.core.incidents[&child].incident.held_for_maintenance);
}

#[test]
fn many_at_once_are_one_page_whenever_it_is_killed() {
    let all = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"];
    for seconds in [0, 11, 13, 14, 15, 16, 17, 18, 20, 25] {
        let config = many();
        let mut bench = bench(&config);
        let mut told = Vec::new();
        if seconds > 0 {
            work(&mut bench, seconds, &all, &[]);
            told = heard(&mut bench);
            kill(&mut bench, &config);
            // What is owed is sent again under the same id.
            let again = heard(&mut bench);
            assert_eq!(told, again, "after {seconds} s");
        }
        work(&mut bench, 40, &all, &[]);
        told.extend(heard(&mut bench));
        let group = told.first().and_then(|text| text.split(' ').nth(1)).unwrap_or_default().to_owned();
        // One a channel.
        assert_eq!(told, vec![format!("group.opened {group}"); 2], "killed after {seconds} s");
        let open = incidents(&bench);
        assert_eq!(open.len(), 8);
        assert!(open.iter().all(|incident| incident.group.as_deref() == Some(group.as_str())));
        if seconds == 15 {
            kill(&mut bench, &config);
            bench.dispatched.clear();
        }
        work(&mut bench, 60, &[], &[]);
        assert_eq!(heard(&mut bench), vec![format!("group.resolved {group}"); 2], "killed after {seconds} s");
    }
}

#[test]
fn a_flapping_monitor_is_told_as_such_and_its_end_goes_to_who_was_told() {
    let config = config(vec![monitor("shop", &[])], &["x"]);
    let mut bench = bench(&config);
    for _ in 0..4 {
        work(&mut bench, 30, &["shop"], &[]);
        work(&mut bench, 30, &[], &[]);
    }
    let told = heard(&mut bench);
    assert_eq!(told, ["incident.opened shop", "incident.resolved shop", "flapping.started shop"]);
    assert!(bench.picture.monitors[0].flapping);
    assert!(incidents(&bench)[0].flapping);
    kill(&mut bench, &config);
    work(&mut bench, 700, &[], &[]);
    let ended = bench.dispatched.iter().find(|one| one.alert.event.name() == "flapping.ended").cloned();
    let told = heard(&mut bench);
    assert_eq!(told.last().map(String::as_str), Some("flapping.ended shop"), "{told:?}");
    let AlertEvent::FlappingEnded(ended) = ended.unwrap().alert.event else { panic!() };
    assert_eq!((ended.verdict.as_deref(), ended.changes), (Some("up"), 8));
    work(&mut bench, 30, &["shop"], &[]);
    assert_eq!(heard(&mut bench), ["incident.opened shop"], "it is paged as before");
}

#[test]
fn an_agent_that_is_offline_is_one_notice_for_its_operator() {
    let config = config(vec![monitor("shop", &[]), monitor("chat", &[])], &["x", "z:o"]);
    let mut bench = bench(&config);
    work(&mut bench, 60, &[], &[4]);
    assert_eq!(heard(&mut bench), [""; 0], "a restart is silent");
    work(&mut bench, 40, &[], &[4]);
    let [offline] = bench.dispatched.as_slice() else { panic!("{:?}", bench.dispatched) };
    assert_eq!(offline.channel, "z");
    let AlertEvent::AgentsOffline(alert) = &offline.alert.event else { panic!("{:?}", offline.alert) };
    assert_eq!(
        alert.summary,
        "Agent e-4 (e) is offline. 2 monitors lose a voter; for each of them enough are left to say down."
    );
    assert_eq!((alert.monitors[0].voters, alert.monitors[0].of, alert.monitors[0].needed), (4, 5, Some(4)));
    assert_eq!(alert.monitors[0].monitor.name, "CHAT");
    heard(&mut bench);
    kill_without(&mut bench, &config, 4);
    bench.dispatched.clear();
    work(&mut bench, 300, &[], &[4]);
    assert_eq!(heard(&mut bench), [""; 0], "it was said before the restart");
    work(&mut bench, 30, &[], &[]);
    assert_eq!(heard(&mut bench), [""; 0], "a report without a connection is none");
    bench.connect(4, 0);
    work(&mut bench, 30, &[], &[]);
    assert_eq!(heard(&mut bench), ["agents.back"]);
}

/// Three of five agents go, and then a fourth: nobody can tell any more, and that is said once, by their notice.
#[test]
fn unobserved_for_want_of_agents_is_part_of_their_notice() {
    let config = config(vec![monitor("shop", &[]), monitor("chat", &[])], &["x", "z:o"]);
    let mut bench = bench(&config);
    work(&mut bench, 120, &[], &[0, 1, 2, 3]);
    assert_eq!(bench.verdicts()["shop"], Some("unobserved"));
    assert_eq!(heard(&mut bench), ["agents.offline"]);
    assert_eq!(bench.picture.incidents_open.len(), 2, "they are on record");
    work(&mut bench, 60, &[], &[]);
    assert_eq!(heard(&mut bench), ["agents.back"]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    assert!(bench.picture.incidents_open.is_empty());
}
