//! Restarts: nothing is told twice, nothing is forgotten.

use quorate_proto::{Micros, MonitorId};
use quorate_quorum::{
    Moment, Paging, PagingEvent, PagingSettings, Policy, Verdict,
    paging::{GroupMemory, MemberMemory, Memory, MonitorMemory, Wait},
};

use crate::script::{Runner, check};

#[test]
fn what_was_told_is_resolved_and_not_told_again() {
    check(
        "
         watch shop
         10 down shop
         20 restart
         30 up shop
         40 restart
         99 end
        ",
        "
         10 tell shop
         30 resolve shop
        ",
    );
}

#[test]
fn what_waits_goes_on_waiting() {
    check(
        "
         watch gateway
         watch chat after gateway
         watch m1..m8
         10 down gateway, down chat
         20 restart
         30 up gateway
         50 restart
         100 restart
         110 suspect m1..m8
         120 down m1
         122 restart
         130 end
        ",
        "
         10 tell gateway
         10 hold chat by gateway
         30 resolve gateway
         90 tell chat
         125 tell m1
        ",
    );
}

#[test]
fn groups_and_flapping_go_on() {
    check(
        "
         watch m1..m10
         watch shop
         0 suspect m1..m10
         11 down m1..m8
         13 restart
         17 restart
         30 up m1..m8
         100 down shop
         110 up shop
         120 restart
         130 down shop
         140 restart
         150 up shop
         160 restart
         800 end
        ",
        "
         16 group began m1 m2 m3 m4 m5 m6 m7 m8 of 11 on 8
         30 group ended (m1) (m2) (m3) (m4) (m5) (m6) (m7) (m8) of 11 on 8
         100 tell shop
         110 resolve shop
         130 flapping shop began down: 3 edges (3 new), down 10s (10s new)
         130 hush shop
         750 flapping shop ended up: 4 edges (1 new), down 30s (20s new)
        ",
    );
}

/// Agents have 60 s to connect; one that was said to be offline is not said to be so again.
#[test]
fn agents_are_waited_for() {
    check(
        "
         watch shop in 3
         agents r1 r2 r3
         7 silent r3
         100 silent r2
         103 restart
         300 heard r3
         310 heard r2
         320 restart
         400 end
        ",
        "
         90 offline r3, 2 heard; shop 2 of 3 left, 2 needed
         248 offline r2, 1 heard; shop 1 of 3 left, none needed
         310 back r3, 1 away
         320 back r2, 0 away
        ",
    );
}

/// Pages that went out before the start become part of a group that trips after it.
#[test]
fn pages_that_went_out_before_count() {
    check(
        "
         watch m1..m12
         10..50/10 down m1..m4
         42 restart
         44 suspect m5..m8
         45 down m5
         46 down m6
         60 end
        ",
        "
         10 tell m1
         20 tell m2
         30 tell m3
         40 tell m4
         50 group began m1* m2* m3* m4* m5 m6 of 12 on 6
        ",
    );
}

/// Nothing is kept of a monitor that is gone.
#[test]
fn what_is_gone_is_forgotten() {
    check(
        "
         watch shop
         10 down shop
         20 unwatch shop
         30 restart
        ",
        "
         10 tell shop
         20 resolve shop
        ",
    );
}

/// An incident of which nothing is kept counts as told, and its monitor as down if it was.
#[test]
fn an_incident_of_which_nothing_is_kept() {
    let mut runner = Runner::default();
    runner.step(Moment(0), "watch shop");
    runner.step(Moment(0), "watch chat");
    runner.verdicts = [("shop", Verdict::Down), ("chat", Verdict::Up)]
        .map(|(name, verdict)| (name.parse().unwrap(), verdict))
        .into();
    runner.restart(Moment(5_000_000));
    for (second, what) in [
        (10, "up shop"),
        (20, "down shop"),
        (30, "up shop"),
        (40, "unobserved chat"),
        (50, "up chat"),
        (60, "up chat"),
    ] {
        runner.step(Moment(second * 1_000_000), what);
    }
    assert_eq!(
        runner.done,
        [
            "10 resolve shop",
            "20 tell shop",
            "30 resolve shop",
            "30 flapping shop began up: 3 edges (3 new), down 10s (10s new)",
            "40 tell chat",
            "50 resolve chat"
        ]
    );
}

/// The clock was set back by an hour: what is due in that hour is due in a minute at most, and moments do not go back
/// behind the start.
#[test]
fn a_clock_that_was_set_back_delays_nothing() {
    let seconds = |seconds: u64| Moment(seconds * 1_000_000);
    let member = |is_over| MemberMemory { is_over, is_paged: false, is_named: true };
    let monitor = |name: &str| name.parse::<MonitorId>().unwrap();
    let begun = seconds(7_200);
    let group = GroupMemory {
        opened: true,
        joined_at: begun,
        report_at: Some(seconds(7_300)),
        members: ["m1", "m2", "m3"].map(|name| (monitor(name), member(name == "m1"))).into(),
    };
    let kept = |name| {
        let kept = MonitorMemory {
            is_down: true,
            group: Some(begun),
            wait: Some(Wait::Group),
            ..Default::default()
        };
        Memory::Monitor(monitor(name), Some(kept))
    };
    let mut runner = Runner::default();
    runner.paging = Paging::restored(
        PagingSettings::default(),
        [Memory::Group(begun, Some(group)), kept("m2"), kept("m3")],
        ["m2", "m3"].map(|name| (monitor(name), Verdict::Down)),
        seconds(3_600),
    );
    assert_eq!(runner.paging.next_deadline(), None, "before all monitors are known nothing is done");
    runner.handle(PagingEvent::Started, seconds(3_000));
    runner.step(seconds(3_500), "watch m1..m10");
    assert_eq!(runner.paging.next_deadline(), Some(seconds(3_660)));
    runner.step(seconds(3_610), "up m2");
    assert_eq!(runner.paging.next_deadline(), Some(seconds(3_660)));
    runner.step(seconds(3_660), "end");
    assert_eq!(runner.done, ["3660 group goes on (m1) (m2) m3 of 10 on 3"]);

    // A group that begins by the new clock is another one, and the latest.
    runner.step(seconds(3_661), "down m10");
    runner.done.clear();
    runner.step(seconds(3_720), "suspect m4..m8");
    runner.step(seconds(3_731), "down m4..m8");
    runner.step(seconds(3_740), "down m9");
    runner.step(seconds(3_750), "up m3");
    runner.step(seconds(3_750), "up m10");
    assert_eq!(
        runner.done,
        [
            "3666 group goes on (m1) m10+ (m2) m3 of 10 on 4",
            "3736 group began m4 m5 m6 m7 m8 of 10 on 5",
            "3745 group goes on m4 m5 m6 m7 m8 m9+ of 10 on 6",
            "3750 group ended (m1) (m10) (m2) (m3) of 10 on 4"
        ]
    );

    // A page that waits for others from before the start on waits from the start on.
    let mut paging = Paging::restored(PagingSettings::default(), [], [], seconds(3_600));
    let policy = Policy::new(Default::default(), Micros::from_secs(30), Micros::from_secs(10));
    for number in 1..=5 {
        let (monitor, target) = (monitor(&format!("m{number}")), format!("m{number}.org"));
        let policy = Box::new(Policy { target, ..policy.clone() });
        paging
            .handle(PagingEvent::Watch { monitor: monitor.clone(), policy, parents: [].into() }, seconds(10));
        paging.handle(PagingEvent::Suspected { monitor, suspect: true }, seconds(10));
    }
    paging.handle(PagingEvent::Started, seconds(10));
    paging.handle(PagingEvent::Turned { monitor: monitor("m1"), to: Verdict::Down }, seconds(10));
    assert_eq!(paging.next_deadline(), Some(seconds(3_605)));
}
