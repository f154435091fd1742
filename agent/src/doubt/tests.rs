//! Measurements in, doubts and excuses out.

use quorate_proto::{
    Controls, Phase,
    outcome::{ContentFault, DnsFault, SilentDrop},
};

use super::{
    controls::{Answer, Subject, Watch},
    *,
};

const MS: fn(u64) -> Micros = Micros::from_millis;
const S: fn(u64) -> Micros = Micros::from_secs;

/// An agent whose loop runs as a script says.
struct Clockwork {
    judge: Judge,
    now: Pulse,
}

impl Clockwork {
    fn new() -> Self {
        let start = Tick(S(1_000));
        let now = Pulse { tick: start, awake: start };
        Self { judge: Judge::new(now), now }
    }

    /// Lets time pass without a beat.
    fn stand_still(&mut self, span: Micros) {
        self.now = Pulse { tick: self.now.tick.after(span), awake: self.now.awake.after(span) };
    }

    fn sleep(&mut self, span: Micros) {
        self.now.tick = self.now.tick.after(span);
    }

    fn beat(&mut self) {
        self.stand_still(limits::BEAT);
        self.judge.beat(self.now);
    }

    /// Runs well for a while.
    fn run(&mut self, span: Micros) {
        for _ in 0..span.0 / limits::BEAT.0 {
            self.beat();
        }
    }

    /// A beat that is late by this.
    fn late(&mut self, span: Micros) {
        self.stand_still(span);
        self.beat();
    }

    fn doubts(&self) -> Vec<Doubt> {
        self.judge.reports(self.now.tick).into_iter().map(|report| report.doubt).collect()
    }

    fn excuse(&self, kind: FailureKind, ago: Micros, took: Micros) -> Option<Failure> {
        let ended = Tick(self.now.tick.0.saturating_sub(ago));
        let started = Tick(ended.0.saturating_sub(took));
        self.judge.excuse(&Failure::new(kind, Phase::Exchange, "no reply"), started, ended, self.now)
    }
}

#[test]
fn one_blip_is_no_doubt_and_a_fifth_of_the_time_is() {
    for (lags, in_doubt) in [
        (&[249, 249, 249, 249, 249, 249][..], false),
        (&[250][..], false),
        (&[1_999][..], false),
        (&[2_000][..], true),
        (&[250, 250, 250, 250, 250, 250, 250][..], false),
        (&[300, 300, 300, 300, 300, 300, 300][..], true),
        (&[1_200, 800][..], true),
    ] {
        let mut agent = Clockwork::new();
        agent.run(S(20));
        for lag in lags {
            agent.run(S(1));
            agent.late(MS(*lag));
        }
        let doubts = if in_doubt { vec![Doubt::EventLoopLate] } else { vec![] };
        assert_eq!(agent.doubts(), doubts, "{lags:?}");
        assert_eq!(agent.judge.take_news(), in_doubt);
    }
    // The same blips, far enough apart, go on for ever without harm.
    let mut agent = Clockwork::new();
    for _ in 0..200 {
        agent.run(S(4));
        agent.late(MS(300));
        assert_eq!(agent.doubts(), []);
    }
}

#[test]
fn a_doubt_ends_after_thirty_clean_seconds() {
    let mut agent = Clockwork::new();
    agent.late(S(2));
    assert!(agent.judge.take_news() && !agent.judge.take_news());
    agent.run(MS(29_900));
    assert_eq!(agent.doubts(), [Doubt::EventLoopLate]);
    assert!(!agent.judge.take_news());
    agent.run(MS(100));
    assert_eq!(agent.doubts(), []);
    assert!(agent.judge.take_news());
    // Trouble in between begins the thirty seconds anew.
    agent.late(S(2));
    agent.run(S(20));
    agent.late(S(2));
    agent.run(S(29));
    assert_eq!(agent.doubts(), [Doubt::EventLoopLate]);
    let report = agent.judge.reports(agent.now.tick).remove(0);
    assert_eq!((report.lasting, report.detail.as_str()), (MS(53_100), "absent for 2s within 10s"));
}

#[test]
fn a_machine_that_slept_says_so_and_not_that_it_was_starved() {
    let mut agent = Clockwork::new();
    agent.run(S(5));
    agent.sleep(S(3_600));
    agent.beat();
    assert_eq!(agent.doubts(), [Doubt::Suspended]);
    let excuse = agent.excuse(FailureKind::ConnectionRefused, Micros::ZERO, S(10)).unwrap();
    assert_eq!(excuse.kind, FailureKind::AgentFault);
    assert_eq!(
        excuse.detail,
        "the agent doubts itself (suspended: for 60m), so that this does not count: connection_refused, no reply"
    );
    // Asleep and starved are two things.
    agent.sleep(S(5));
    agent.late(S(3));
    assert_eq!(agent.doubts(), [Doubt::Suspended, Doubt::EventLoopLate]);
    // Two readings are never of one moment.
    let mut agent = Clockwork::new();
    agent.sleep(MS(900));
    agent.beat();
    assert_eq!(agent.doubts(), []);
}

#[test]
fn a_schedule_that_is_late_is_a_doubt_from_two_seconds_on() {
    let mut agent = Clockwork::new();
    agent.judge.late(MS(1_999), agent.now.tick);
    assert_eq!(agent.doubts(), []);
    agent.judge.late(S(2), agent.now.tick);
    assert_eq!(agent.doubts(), [Doubt::ScheduleLate]);
}

#[test]
fn what_failed_in_a_standstill_is_excused_before_the_next_beat_knows_of_it() {
    let mut agent = Clockwork::new();
    agent.run(S(5));
    agent.stand_still(S(12));
    assert_eq!(agent.doubts(), [], "nobody has said so yet");
    let excuse = agent.excuse(FailureKind::ReplyTimeout, Micros::ZERO, S(12)).unwrap();
    assert!(excuse.detail.contains("event_loop_late: absent for"), "{}", excuse.detail);
    assert_eq!(excuse.phase, Phase::Exchange);
    // What the server said in so many words, it said.
    assert_eq!(agent.excuse(FailureKind::ConnectionRefused, Micros::ZERO, S(12)), None);
    assert_eq!(agent.excuse(FailureKind::AgentFault, Micros::ZERO, S(12)), None, "nothing to excuse");
    agent.beat();
    let excuse = agent.excuse(FailureKind::ConnectionRefused, Micros::ZERO, S(12));
    assert!(excuse.is_some(), "in a trouble that makes a doubt, nothing counts");
}

#[test]
fn only_what_the_trouble_reached_is_excused() {
    let mut agent = Clockwork::new();
    agent.run(S(60));
    agent.late(S(2));
    agent.run(S(10));
    for (ago, took, excused) in
        [(S(0), S(5), false), (S(0), S(11), true), (S(11), S(5), true), (S(30), S(5), false)]
    {
        assert_eq!(
            agent.excuse(FailureKind::ConnectionRefused, ago, took).is_some(),
            excused,
            "{took}, {ago} ago"
        );
    }
}

#[test]
fn what_fails_at_once_between_two_beats_is_in_the_trouble() {
    let mut agent = Clockwork::new();
    agent.run(S(5));
    agent.judge.wrong(Doubt::ControlsFailing, "all of them", agent.now.tick);
    agent.stand_still(MS(60));
    assert!(agent.excuse(FailureKind::ConnectionRefused, Micros::ZERO, MS(1)).is_some());
    agent.run(MS(500));
    assert_eq!(agent.excuse(FailureKind::ConnectionRefused, Micros::ZERO, MS(1)), None);
}

#[test]
fn a_tenth_of_the_check_excuses_and_less_does_not() {
    let mut agent = Clockwork::new();
    agent.run(S(20));
    agent.late(MS(500));
    agent.run(S(1));
    for (took, excused) in [(S(2), true), (S(5), true), (S(6), false), (S(10), false)] {
        assert_eq!(
            agent.excuse(FailureKind::UpgradeTimeout, Micros::ZERO, took).is_some(),
            excused,
            "{took}"
        );
    }
    assert_eq!(
        agent.excuse(FailureKind::UpgradeTimeout, Micros::ZERO, MS(900)),
        None,
        "the blip was before it"
    );
    assert_eq!(agent.doubts(), [], "and no doubt for all that");
}

#[test]
fn failures_that_waiting_makes() {
    for (kind, waits) in [
        (FailureKind::Dns(DnsFault::Timeout), true),
        (FailureKind::Dns(DnsFault::NotFound), false),
        (FailureKind::Closed { code: 1011, reason: String::new() }, true),
        (FailureKind::SilentDrop(SilentDrop::Stuck), true),
        (FailureKind::UpgradeStatus(408), true),
        (FailureKind::UpgradeStatus(503), false),
        (FailureKind::Content(ContentFault::TooOld), true),
        (FailureKind::Content(ContentFault::NotGrowing), false),
        (FailureKind::CertificateExpired, false),
    ] {
        assert_eq!(patience::may_be_made_by_waiting(&kind), waits, "{kind}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut agent = Clockwork::new();
    for _ in 0..2_000 {
        agent.late(MS(250));
    }
    assert!(agent.judge.absences.len() <= limits::ABSENCES_MAX);
    agent.run(S(300));
    assert!(agent.judge.absences.is_empty());
}

fn controls(targets: usize) -> Controls {
    Controls {
        targets: (0..targets).map(|number| format!("tcp://192.0.{number}.1:443")).collect(),
        every: S(15),
        resolves: None,
        resolves_not: None,
    }
}

fn bad() -> Answer {
    Answer::Bad("connect_timeout".to_owned())
}

#[test]
fn half_of_the_targets_make_a_doubt_and_one_does_not() {
    for (targets, failing, connected, in_doubt) in [
        (3, 1, false, false),
        (3, 2, false, true),
        (3, 2, true, true),
        (4, 1, true, false),
        (4, 2, false, true),
        (4, 2, true, false),
        (4, 3, true, true),
        (3, 3, true, true),
    ] {
        let mut watch = Watch::new(&controls(targets), Tick::default());
        for number in 0..targets {
            let answer = if number < failing { bad() } else { Answer::Good };
            watch.answered(number, answer, Tick::default());
        }
        let doubts: Vec<_> = watch.wrong(connected).into_iter().map(|(doubt, _)| doubt).collect();
        let expected = if in_doubt { vec![Doubt::ControlsFailing] } else { vec![] };
        assert_eq!(doubts, expected, "{failing} of {targets}, connected: {connected}");
    }
}

#[test]
fn targets_that_were_not_asked_or_must_not_be_do_not_count() {
    let mut watch = Watch::new(&controls(4), Tick::default());
    watch.answered(0, bad(), Tick::default());
    watch.answered(1, bad(), Tick::default());
    assert_eq!(watch.wrong(false), [], "two answers are too few");
    assert!(watch.answered(2, Answer::Barred("private".to_owned()), Tick::default()), "news");
    assert!(!watch.answered(2, Answer::Barred("private".to_owned()), Tick::default()));
    assert_eq!(watch.wrong(false), []);
    watch.answered(3, Answer::Good, Tick::default());
    let detail =
        "2 of 3 do not answer: tcp://192.0.0.1:443 (connect_timeout), tcp://192.0.1.1:443 (connect_timeout)";
    assert_eq!(watch.wrong(false), [(Doubt::ControlsFailing, detail.to_owned())]);
}

#[test]
fn looks_are_staggered_and_steady() {
    let mut watch = Watch::new(&controls(3), Tick::default());
    let mut looks = Vec::new();
    for second in 0..60 {
        let now = Tick(S(second));
        while let Some((number, _)) = watch.take_due(now) {
            looks.push((second, number));
            watch.answered(number, Answer::Good, now);
        }
        // Whatever fails besides, nobody is asked more often than this.
        if second >= 40 {
            watch.hurry(now);
        }
    }
    let steady = [(0, 0), (5, 1), (10, 2), (15, 0), (20, 1), (25, 2), (30, 0), (35, 1), (40, 2)];
    assert_eq!(looks[..9], steady);
    for number in 0..3 {
        let of_one: Vec<u64> =
            looks.iter().filter(|look| look.1 == number && look.0 >= 41).map(|look| look.0).collect();
        assert!(of_one.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{of_one:?}");
        assert!(of_one.len() >= 3);
    }
}

#[test]
fn one_that_failed_is_looked_at_again_soon() {
    let mut watch = Watch::new(&controls(3), Tick::default());
    assert_eq!(watch.take_due(Tick::default()).map(|look| look.0), Some(0));
    assert_eq!(watch.take_due(Tick::default()), None, "one at a time");
    watch.answered(0, bad(), Tick(S(4)));
    assert_eq!(watch.take_due(Tick(S(8))).map(|look| look.0), Some(1));
    assert_eq!(watch.take_due(Tick(MS(8_999))), None);
    assert_eq!(watch.take_due(Tick(S(9))).map(|look| look.0), Some(0));
}

#[test]
fn a_resolver_that_knows_nothing_or_everything_makes_a_doubt() {
    let names = Controls {
        resolves: Some("example.com".to_owned()),
        resolves_not: Some("nothing.invalid".to_owned()),
        ..controls(0)
    };
    let mut watch = Watch::new(&names, Tick::default());
    let first = watch.take_due(Tick::default());
    assert_eq!(first, Some((0, Subject::Resolves("example.com".to_owned()))));
    watch.answered(0, bad(), Tick::default());
    assert_eq!(watch.wrong(true), [], "a datagram is lost now and then");
    watch.answered(0, bad(), Tick::default());
    watch.answered(1, bad(), Tick::default());
    let doubts: Vec<_> = watch.wrong(true).into_iter().map(|(doubt, _)| doubt).collect();
    assert_eq!(doubts, [Doubt::ResolverFailing, Doubt::ResolverLying]);
    watch.answered(0, Answer::Good, Tick::default());
    watch.answered(1, Answer::Good, Tick::default());
    assert_eq!(watch.wrong(true), []);
}
