//! Maintenance: checks and verdicts go on, pages wait, and what still is the matter at its end is told then.

use quorate_proto::{Micros, WallMicros};
use quorate_quorum::uptime::{Shares, Stretch};
use tokio::sync::oneshot;

use super::bench::{Bench, REGIONS, config};
use crate::{
    config::{Config, MaintenancePlan, MaintenanceTimes},
    model::{Admin, AdminError, Intake, Maintenance, MaintenanceOrigin, MaintenanceWish, fixture},
};

const S: fn(u64) -> Micros = Micros::from_secs;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// `shop`, in a maintenance that begins after some seconds and lasts for some.
fn planned(bench: &Bench, after: u64, lasts: u64) -> Config {
    let from = bench.now.wall.after(S(after));
    let plan = MaintenancePlan {
        id: "database".to_owned(),
        name: "Database work".to_owned(),
        reason: String::new(),
        monitors: Some(["shop".parse().unwrap()].into()),
        times: MaintenanceTimes::Once(Stretch { from, to: from.after(S(lasts)) }),
    };
    Config { maintenance: vec![plan], ..shop() }
}

fn shop() -> Config {
    config(vec![fixture::monitor("shop", &REGIONS)], &["x", "y:p"])
}

fn configure(bench: &mut Bench, config: Config) {
    bench.tell(Intake::Configure(std::sync::Arc::new(config)));
}

fn ask(bench: &mut Bench, admin: impl FnOnce(Reply) -> Admin) -> Result<Maintenance, AdminError> {
    let (reply, mut answer) = oneshot::channel();
    bench.tell(Intake::Admin(admin(reply)));
    bench.pass(Micros::from_millis(50));
    answer.try_recv().unwrap()
}

type Reply = oneshot::Sender<Result<Maintenance, AdminError>>;

fn start(bench: &mut Bench, monitors: Option<&str>, lasts: u64) -> Result<Maintenance, AdminError> {
    let monitors = monitors.map(|id| [id.parse().unwrap()].into());
    let wish = MaintenanceWish {
        name: "By hand".to_owned(),
        reason: "a new disk".to_owned(),
        monitors,
        from: None,
        lasts: S(lasts),
    };
    ask(bench, |reply| Admin::StartMaintenance { wish: Box::new(wish), reply })
}

fn shares(bench: &Bench, seconds: u64) -> Shares {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let window = Stretch { from: bench.now.wall.before(S(seconds)), to: bench.now.wall };
    let shop: quorate_proto::MonitorId = "shop".parse().unwrap();
    let histories = runtime.block_on(bench.reader.histories(vec![shop.clone()], window)).unwrap();
    Shares::of(&histories[&shop].spans(window), window)
}

fn rollup(bench: &Bench) -> (u64, u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let window = Stretch { from: WallMicros(0), to: bench.now.wall };
    let shop = "shop".parse().unwrap();
    let rows = runtime.block_on(bench.reader.rollups(&shop, crate::store::Grain::Day, window)).unwrap();
    let sum = |of: fn(&crate::store::Rollup) -> u64| rows.iter().map(of).sum();
    (sum(|row| row.passed), sum(|row| row.failed), sum(|row| row.maintained))
}

#[test]
fn a_planned_maintenance_holds_pages_and_is_no_downtime() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    let config = planned(&bench, 10, 100);
    configure(&mut bench, config);
    bench.work(5, &[]);
    assert_eq!(bench.picture.maintenance.len(), 1, "planned");
    assert_eq!(bench.picture.monitors[0].maintenance, None, "and not on");
    bench.work(15, &[]);
    assert_eq!(bench.picture.monitors[0].maintenance.as_ref().unwrap().name, "Database work");
    bench.work(40, &ALL);
    assert_eq!(bench.verdicts()["shop"], Some("down"), "it is decided on as ever");
    let incident = &bench.picture.incidents_open[0];
    assert_eq!(incident.maintenance.as_deref(), Some("Database work"));
    assert!(incident.held_for_maintenance);
    bench.work(30, &[]);
    assert_eq!(bench.verdicts()["shop"], Some("up"));
    bench.work(60, &[]);
    assert_eq!(bench.heard(), [""; 0], "nobody heard of it, so nobody hears of its end");
    assert_eq!(bench.picture.monitors[0].maintenance, None);
    let shares = shares(&bench, 150);
    assert_eq!((shares.maintenance, shares.down), (S(100), Micros::ZERO), "{shares:?}");
    let (passed, failed, maintained) = rollup(&bench);
    assert!(passed > 0 && failed == 0 && maintained >= 45, "{passed} {failed} {maintained}");
}

#[test]
fn what_is_down_when_the_maintenance_ends_is_paged_then() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    let config = planned(&bench, 1, 60);
    configure(&mut bench, config);
    bench.work(58, &ALL);
    assert_eq!(bench.heard(), [""; 0]);
    bench.work(5, &ALL);
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
    assert!(!bench.picture.incidents_open[0].held_for_maintenance);
    bench.work(60, &ALL);
    assert_eq!(bench.heard(), [""; 0], "once");
    bench.work(60, &[]);
    assert_eq!(bench.heard(), ["x incident.resolved", "y incident.resolved"]);
}

#[test]
fn who_was_told_before_hears_of_the_end_within_a_maintenance() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    bench.work(40, &ALL);
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
    start(&mut bench, None, 3_600).unwrap();
    bench.work(60, &[]);
    assert_eq!(bench.heard(), ["x incident.resolved", "y incident.resolved"]);
}

#[test]
fn a_maintenance_by_hand_survives_a_restart_and_ends_early() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    assert_eq!(start(&mut bench, Some("nope"), 600), Err(AdminError::NoSuchMonitor("nope".parse().unwrap())));
    let started = start(&mut bench, Some("shop"), 7_200).unwrap();
    assert_eq!((started.origin, started.stretch().lasts()), (MaintenanceOrigin::Operator, S(7_200)));
    bench.work(40, &ALL);
    bench.kill(shop());
    let revision = bench.core.assignments.revision;
    (0..5).for_each(|index| bench.connect(index, revision));
    bench.work(200, &ALL);
    assert_eq!(bench.heard(), [""; 0]);
    assert_eq!(bench.picture.monitors[0].maintenance.as_ref(), Some(&started));
    let ended = ask(&mut bench, |reply| Admin::EndMaintenance { id: started.id.clone(), reply }).unwrap();
    assert!(ended.ended_early && ended.until <= bench.now.wall);
    bench.work(2, &ALL);
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
    let id = started.id;
    let again = ask(&mut bench, |reply| Admin::EndMaintenance { id: id.clone(), reply });
    assert_eq!(again, Err(AdminError::NoSuchMaintenance(id)));
}

#[test]
fn what_was_held_is_told_after_a_restart_when_regions_have_had_their_say() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    let config = planned(&bench, 1, 60);
    configure(&mut bench, config.clone());
    bench.work(40, &ALL);
    // It ends while the aggregator is away; the monitor is well by then.
    let restart = |bench: &mut Bench, config: &Config| {
        bench.go_to(bench.now.moment.after(S(300)));
        bench.kill(config.clone());
        let revision = bench.core.assignments.revision;
        (0..5).for_each(|index| bench.connect(index, revision));
    };
    restart(&mut bench, &config);
    bench.work(120, &[]);
    assert_eq!(bench.heard(), [""; 0], "it is up again");
    // And once more, with a monitor that stays down.
    let config = planned(&bench, 1, 60);
    configure(&mut bench, config.clone());
    bench.work(40, &ALL);
    restart(&mut bench, &config);
    bench.work(120, &ALL);
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
}

#[test]
fn an_occurrence_that_was_ended_early_does_not_begin_anew() {
    let mut bench = Bench::watching(&["x"]);
    bench.work(30, &[]);
    let config = planned(&bench, 1, 600);
    configure(&mut bench, config.clone());
    bench.work(5, &[]);
    let id = bench.picture.maintenance[0].id.clone();
    assert!(id.starts_with("database@"), "{id}");
    ask(&mut bench, |reply| Admin::EndMaintenance { id, reply }).unwrap();
    bench.work(5, &[]);
    bench.kill(config.clone());
    configure(&mut bench, config);
    bench.pass(S(2));
    assert_eq!(bench.picture.monitors[0].maintenance, None);
    assert!(bench.picture.maintenance[0].ended_early);
}

#[test]
fn what_is_taken_out_of_the_configuration_ends() {
    let mut bench = Bench::watching(&["x", "y:p"]);
    bench.work(30, &[]);
    let config = planned(&bench, 1, 3_600);
    configure(&mut bench, config);
    bench.work(40, &ALL);
    configure(&mut bench, shop());
    bench.work(2, &ALL);
    assert_eq!(bench.heard(), ["x incident.opened", "y incident.opened"]);
    assert!(bench.picture.maintenance[0].ended_early);
}
