//! The machine under a clock that the test turns.

use proptest::prelude::*;
use quorate_proto::{
    Matcher, Payload, Step, WallMicros,
    canary::CanaryEvent,
    step::{Condition, Demand, Must, Reply, Stream},
};

use super::{
    super::machine::{Ending, Machine, Output},
    *,
};
use crate::{
    clock::{Now, Tick},
    probe::held::{Outgoing, Received},
};

/// A frame, as a case says it.
#[derive(Clone, Debug)]
enum Frame {
    /// The pong to the latest ping.
    Answer,
    /// A pong that nobody asked for.
    Foreign,
    Ping,
    Text(&'static str),
}

/// A name, frames and their times in milliseconds, a time to stop at, and what is done at which millisecond.
type Case<'case> = (&'case str, &'case [(u64, Frame)], u64, &'case [&'case str]);

struct Bench {
    machine: Machine,
    now: u64,
    pinged: Vec<u8>,
    lines: Vec<String>,
    ended: bool,
}

fn at(millis: u64) -> Now {
    let wall = WallMicros(i64::try_from(millis).unwrap() * 1_000);
    Now { tick: Tick(Micros::from_millis(millis)), wall }
}

impl Bench {
    fn new(spec: MonitorSpec) -> Self {
        let canary = spec.canary.unwrap();
        let prepared = prober().prepare(Arc::new(spec));
        let machine = Machine::new(canary, prepared.conversation(at(0)), 77, at(0).tick);
        let mut bench = Self { machine, now: 0, pinged: Vec::new(), lines: Vec::new(), ended: false };
        bench.drain();
        bench
    }

    /// Lets the time come, with everything that is due until then.
    fn pass(&mut self, until: u64) {
        while !self.ended && self.machine.deadline() <= at(until).tick {
            // Never before: time does not go back.
            self.now = self.now.max(self.machine.deadline().0.0.div_ceil(1_000));
            self.drain();
        }
        self.now = until;
    }

    fn hear(&mut self, frame: &Frame) {
        let received = match frame {
            Frame::Answer => Received::Pong(self.pinged.clone().into()),
            Frame::Foreign => Received::Pong(b"foreign!".to_vec().into()),
            Frame::Ping => Received::Ping,
            Frame::Text(text) => Received::Data(text.as_bytes().to_vec().into()),
        };
        self.machine.take(&received, at(self.now));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.due(at(self.now)) {
            let what = match output {
                Output::Send(Outgoing::Ping(payload)) => {
                    self.pinged = payload.to_vec();
                    "ping".to_owned()
                }
                Output::Send(Outgoing::Text(text)) => format!("say {text}"),
                Output::Send(Outgoing::Binary(bytes)) => format!("say {bytes:?}"),
                Output::Tell(CanaryEvent::Alive { heartbeats, round_trips, .. }) => {
                    format!("alive {heartbeats} {:?}", round_trips.map(|trips| trips.max.as_millis()))
                }
                Output::Tell(other) => other.name().to_owned(),
                Output::End(ending) => {
                    self.ended = true;
                    match ending {
                        Ending::Unanswered(span) => format!("unanswered for {span}"),
                        Ending::Failed(failure) => failure.kind.to_string(),
                    }
                }
            };
            self.lines.push(format!("{} {what}", self.now));
            if self.ended {
                return;
            }
        }
    }
}

/// What a machine with a heartbeat of 3 s and a grace of 1 s does, up to a time, when these frames come.
fn play(spec: MonitorSpec, frames: &[(u64, Frame)], until: u64) -> Vec<String> {
    let mut bench = Bench::new(spec);
    for (millis, frame) in frames {
        bench.pass(*millis);
        if bench.ended {
            return bench.lines;
        }
        bench.hear(frame);
    }
    bench.pass(until);
    bench.lines
}

fn with(mode: CanaryMode) -> MonitorSpec {
    spec("ws://127.0.0.1/", mode, 3_000, 1_000)
}

#[test]
fn a_ping_canary() {
    use Frame::{Answer, Foreign, Ping, Text};
    let steady = (1..50).map(|number| (number * 2_900, Text("tick"))).collect::<Vec<_>>();
    let chatty = (0..30).map(|number| (3_100 + number * 200, Foreign)).collect::<Vec<_>>();
    let cases: [Case<'_>; 10] = [
        ("silence", &[], 9_000, &["3000 ping", "4000 unanswered for 1s"]),
        ("an answer", &[(3_010, Answer)], 6_500, &["3000 ping", "6010 ping"]),
        ("the last moment", &[(4_000, Answer)], 7_000, &["3000 ping", "4000 unanswered for 1s"]),
        ("before the last moment", &[(3_999, Answer)], 6_999, &["3000 ping", "6999 ping"]),
        ("a foreign pong is life", &[(2_000, Foreign)], 5_500, &["5000 ping"]),
        ("and no answer", &[(3_500, Foreign)], 9_000, &["3000 ping", "4500 reply_timeout"]),
        ("nor for ever", &chatty, 9_000, &["3000 ping", "7000 reply_timeout"]),
        ("an answer behind others", &[(3_500, Text("x")), (4_400, Answer)], 7_000, &["3000 ping"]),
        ("the server's own pings", &[(2_000, Ping), (4_000, Ping), (6_000, Ping)], 8_500, &[]),
        ("a steady stream", &steady[..20], 58_500, &[]),
    ];
    for (name, frames, until, lines) in cases {
        assert_eq!(play(with(CanaryMode::Ping), frames, until), lines, "{name}");
    }
}

#[test]
fn a_late_answer_is_for_its_own_heartbeat() {
    let mut bench = Bench::new(with(CanaryMode::Ping));
    bench.pass(3_000);
    let first = bench.pinged.clone();
    bench.hear(&Frame::Answer);
    bench.pass(6_000);
    assert_ne!(bench.pinged, first);
    bench.pinged = first;
    bench.pass(6_500);
    bench.hear(&Frame::Answer);
    bench.pass(8_000);
    assert_eq!(bench.lines, ["3000 ping", "6000 ping", "7500 reply_timeout"]);
}

#[test]
fn who_doubts_has_it_ask_at_once() {
    let hurried = |mode| {
        let mut spec = with(mode);
        spec.steps =
            vec![Step::send("say"), Step::expect(Matcher::of(Condition::Contains("re".into())), None)];
        let mut bench = Bench::new(spec);
        bench.pass(1_000);
        bench.machine.hurry();
        bench.drain();
        assert_eq!(bench.machine.unanswered_since().is_some(), mode != CanaryMode::Listen);
        bench.pass(1_100);
        // While an answer is waited for, doubt changes nothing.
        bench.machine.hurry();
        bench.drain();
        bench.hear(if mode == CanaryMode::Steps { &Frame::Text("re") } else { &Frame::Answer });
        assert_eq!(bench.machine.unanswered_since(), None);
        bench.pass(4_200);
        bench.lines
    };
    assert_eq!(hurried(CanaryMode::Ping), ["1000 ping", "4100 ping"]);
    assert_eq!(hurried(CanaryMode::Steps), ["1000 say say", "4100 say say"]);
    assert_eq!(hurried(CanaryMode::Listen), [""; 0]);
}

#[test]
fn once_a_minute_it_is_told_that_it_lives() {
    let mut bench = Bench::new(with(CanaryMode::Ping));
    for _ in 0..40 {
        let before = bench.lines.len();
        bench.pass(bench.machine.deadline().0.as_millis());
        if bench.lines[before..].iter().any(|line| line.ends_with("ping")) {
            bench.pass(bench.now + 25);
            bench.hear(&Frame::Answer);
        }
    }
    let told: Vec<_> = bench.lines.iter().filter(|line| line.contains("alive")).collect();
    assert_eq!(told, ["60000 alive 19 Some(25)"]);
    assert!(!bench.ended);
}

#[test]
fn a_canary_that_listens() {
    use Frame::{Foreign, Ping, Text};
    let cases: [Case<'_>; 3] = [
        ("silence", &[], 9_000, &["4000 silent_drop unknown"]),
        ("life", &[(3_900, Ping), (7_800, Foreign), (11_700, Text("x"))], 15_000, &[]),
        ("nothing is sent", &[(3_000, Text("x"))], 9_000, &["7000 silent_drop unknown"]),
    ];
    for (name, frames, until, lines) in cases {
        assert_eq!(play(with(CanaryMode::Listen), frames, until), lines, "{name}");
    }
}

#[test]
fn a_canary_that_listens_to_a_stream() {
    use Frame::{Ping, Text};
    let demand = Demand { pointer: "/n".into(), must: Must::Follow };
    let matcher = Matcher::of(Condition::Contains("n".into()));
    let every = Micros::from_secs(2);
    let stream = Step::Stream(Stream { matcher, every, messages: 1, demands: vec![demand] });
    let spec =
        || MonitorSpec { steps: vec![Step::send("subscribe"), stream.clone()], ..with(CanaryMode::Listen) };
    let [one, two, three, four] = [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#, r#"{"n":4}"#].map(Text);
    let cases: [Case<'_>; 4] = [
        ("nothing comes", &[], 20_000, &["2000 stream_stale"]),
        ("it stops", &[(1_000, one.clone()), (2_500, two.clone())], 20_000, &["4500 stream_stale"]),
        (
            "other frames do not count",
            &[(500, one.clone()), (2_000, Ping), (2_400, Text("x"))],
            20_000,
            &["2500 stream_stale"],
        ),
        (
            "a repeat",
            &[(500, one.clone()), (1_500, two.clone()), (2_500, three), (3_000, two), (3_500, four)],
            20_000,
            &["3000 content sequence_repeat"],
        ),
    ];
    for (name, frames, until, lines) in cases {
        let lines: Vec<_> = ["0 say subscribe"].iter().chain(lines).copied().collect();
        assert_eq!(play(spec(), frames, until), lines, "{name}");
    }
    let gap = [(500, one), (1_500, Text(r#"{"n":3}"#))];
    assert_eq!(play(spec(), &gap, 20_000), ["0 say subscribe", "1500 content sequence_gap"]);
}

#[test]
fn a_canary_that_takes_the_monitors_steps() {
    use Frame::{Ping, Text};
    let expect = |within: Option<u64>| {
        Step::expect(Matcher::of(Condition::Contains("re {{count}}".into())), within.map(Micros::from_millis))
    };
    let spec = |within| MonitorSpec {
        steps: vec![Step::send("number {{count}}"), expect(within)],
        ..with(CanaryMode::Steps)
    };
    let (first, second) = ("3000 say number 1", "6100 say number 2");
    let cases: [(Option<u64>, Case<'_>); 6] = [
        (None, ("silence", &[], 9_000, &[first, "4000 unanswered for 1s"])),
        (Some(200), ("silence, and a time of its own", &[], 9_000, &[first, "3200 unanswered for 200ms"])),
        (None, ("an answer", &[(3_100, Text("re 1"))], 9_000, &[first, second, "7100 unanswered for 1s"])),
        (None, ("another answer", &[(3_100, Text("re 9"))], 9_000, &[first, "4100 reply_timeout"])),
        (
            None,
            (
                "by the clock, whatever else comes",
                &[(1_000, Ping), (2_900, Ping), (3_100, Text("re 1")), (6_000, Ping)],
                9_000,
                &[first, second, "7100 unanswered for 1s"],
            ),
        ),
        (
            Some(200),
            (
                "in time, and too late",
                &[(3_100, Ping), (3_300, Text("re 1"))],
                9_000,
                &[first, "3200 reply_timeout"],
            ),
        ),
    ];
    for (within, (name, frames, until, lines)) in cases {
        assert_eq!(play(spec(within), frames, until), lines, "{name}");
    }
}

#[test]
fn what_wants_an_answer_gets_it_whatever_the_mode() {
    for mode in [CanaryMode::Ping, CanaryMode::Listen] {
        let reply = |to: &str, with: &str| Reply {
            to: Matcher::of(Condition::Regex(format!("^{to}$"))),
            with: Payload::Text(with.into()),
        };
        let spec = MonitorSpec { replies: vec![reply("2", "3")], ..with(mode) };
        let frames = [(1_000, Frame::Text("2")), (2_000, Frame::Text("22")), (3_500, Frame::Text("2"))];
        assert_eq!(play(spec, &frames, 4_000), ["1000 say 3", "3500 say 3"], "{mode:?}");
    }
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let texts = prop_oneof![Just("re"), Just("x"), Just("2")];
    prop_oneof![Just(Frame::Answer), Just(Frame::Foreign), Just(Frame::Ping), texts.prop_map(Frame::Text)]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Whatever comes, and whenever: it never waits for two answers, never is silent for longer than heartbeat and grace,
    /// and what is due is never behind.
    #[test]
    fn any_frames_at_any_times(
        mode in prop_oneof![Just(CanaryMode::Ping), Just(CanaryMode::Steps), Just(CanaryMode::Listen)],
        spans in (500..5_000_u64, 500..5_000_u64),
        frames in prop::collection::vec((0..6_000_u64, any_frame()), 0..60),
    ) {
        let (heartbeat, grace) = spans;
        let mut spec = spec("ws://127.0.0.1/", mode, heartbeat, grace);
        if mode == CanaryMode::Steps {
            spec.steps = vec![Step::send("say"), Step::expect(Matcher::of(Condition::Contains("re".into())), None)];
        }
        let mut bench = Bench::new(spec);
        let (mut asked, mut heard, mut deadline) = (0_usize, 0, bench.machine.deadline());
        let mut answered = 0_u64;
        for (gap, frame) in frames {
            bench.pass(bench.now + gap);
            if bench.ended {
                break;
            }
            let now = bench.now;
            prop_assert!(bench.machine.deadline() > at(now).tick, "what is due was done");
            prop_assert!(now - heard <= heartbeat + grace, "silent for {}", now - heard);
            bench.hear(&frame);
            heard = now;
            let beats = bench.lines.iter().filter(|line| line.ends_with("ping") || line.ends_with("say say")).count();
            let CanaryEvent::Ended { heartbeats, .. } = bench.machine.ended(failure(), at(now).tick) else { panic!() };
            prop_assert!(beats as u64 - heartbeats <= 1, "two answers are waited for");
            prop_assert!(heartbeats >= answered && beats >= asked);
            (asked, answered) = (beats, heartbeats);
            prop_assert!(bench.ended || bench.machine.deadline() > at(now).tick);
            deadline = deadline.max(bench.machine.deadline());
        }
        let silent_from = bench.now.max(heard);
        bench.pass(silent_from + 2 * (heartbeat + grace));
        prop_assert!(bench.ended, "silence is an end");
    }
}

fn failure() -> quorate_proto::Failure {
    quorate_proto::Failure::new(quorate_proto::FailureKind::Dropped, quorate_proto::Phase::Exchange, "")
}
