//! Streams, and what is demanded of messages.

use super::*;

#[test]
fn streams_are_to_come_in_time() {
    let ticks = || stream(has("tick"), 100, 3, Vec::new());
    told(
        &[send("subscribe"), expect(has("ok")), ticks(), send("bye")],
        &[
            Round(0),
            Comes(5, "ok"),
            Comes(100, "tick"),
            Comes(190, "noise"),
            Comes(199, "tick"),
            Comes(290, "tick"),
        ],
        &["0: done", "0: > subscribe", "290: > bye", "290: done, 5ms"],
    );
    for (story, detail) in [
        (
            &[Round(0), Time(150)][..],
            "100: stream_stale: no message containing \"tick\" came for 100ms, \
             where one is due every 100ms; none had come, nor anything else",
        ),
        (
            &[Round(0), Comes(60, "tick"), Comes(70, "tick"), Comes(71, "x"), Comes(72, "x"), Time(999)],
            "170: stream_stale: no message containing \"tick\" came for 100ms, \
             where one is due every 100ms; 2 of 3 had come, but 2 other messages, the last: x",
        ),
        (
            &[Round(0), Comes(99, "tick"), Time(200)],
            "199: stream_stale: no message containing \"tick\" came for 100ms, \
             where one is due every 100ms; 1 of 3 had come, nor anything else",
        ),
    ] {
        told(&[ticks()], story, &["0: done", detail]);
    }
}

#[test]
fn a_stream_is_listened_to_without_an_end() {
    let steps = [send("subscribe"), stream(has("tick"), 100, 2, Vec::new()), send("never")];
    let ticks = (1..=50).map(|tick| Comes(tick * 90, "tick"));
    let story: Vec<_> = [Listens(0)].into_iter().chain(ticks).chain([Time(5_000)]).collect();
    told(
        &steps,
        &story,
        &[
            "0: done",
            "0: > subscribe",
            "4600: stream_stale: no message containing \"tick\" came for 100ms, \
             where one is due every 100ms; 50 had come, nor anything else",
        ],
    );
    let mut without = Conversation::new(script(&[], &[send("a")], &[]), seeds());
    assert_eq!(without.poll(at(0)), Action::Idle);
    assert!(!without.listen());
    assert_eq!(without.poll(at(0)), Action::Idle);
}

#[test]
fn what_is_demanded_of_messages_holds() {
    let follows = || vec![demand("/n", Must::Follow)];
    let numbers = || stream(json("/n"), 100, 2, follows());
    let wrong = |time: u64, detail: &str| format!("{time}: content {detail}");
    for (steps, story, end) in [
        (
            vec![numbers()],
            vec![Round(0), Comes(1, r#"{"n":1}"#), Comes(2, r#"{"n":3}"#)],
            wrong(2, "sequence_gap: /n is 3 after 1: 1 is missing"),
        ),
        (
            vec![numbers()],
            vec![Round(0), Comes(1, r#"{"n":1}"#), Comes(2, r#"{"n":1}"#)],
            wrong(2, "sequence_repeat: /n is 1 once more"),
        ),
        // From one round to the next nothing is lost.
        (
            vec![numbers()],
            vec![Round(0), Comes(1, r#"{"n":1}"#), Comes(2, r#"{"n":2}"#), Round(3), Comes(4, r#"{"n":4}"#)],
            wrong(4, "sequence_gap: /n is 4 after 2: 1 is missing"),
        ),
        (
            vec![Step::Expect(Expect {
                matcher: json("/t"),
                within: None,
                captures: Vec::new(),
                demands: vec![demand("/t", Must::BeFresh { age: ms(500) })],
            })],
            vec![Round(0), Comes(1_500, r#"{"t":1700000000}"#)],
            wrong(1500, "too_old: /t is 1700000000, which is 1.5s old; at most 500ms are allowed"),
        ),
    ] {
        let lines = Talk::new(&script(&[], &steps, &[])).play(&story);
        assert_eq!(lines.last(), Some(&end));
    }
    // While something else was waited for, messages of the stream were passed over: no gap is made of them.
    told(
        &[numbers(), send("a"), expect(has("a"))],
        &[
            Round(0),
            Comes(1, r#"{"n":1}"#),
            Comes(2, r#"{"n":2}"#),
            Comes(3, r#"{"n":3}"#),
            Comes(4, "a"),
            Round(5),
            Comes(6, r#"{"n":5}"#),
            Comes(7, r#"{"n":6}"#),
            Comes(8, "a"),
        ],
        &["0: done", "2: > a", "4: done, 2ms", "7: > a", "8: done, 1ms"],
    );
}

/// A counter is stuck over connections, not only within one.
#[test]
fn what_must_grow_grows_from_one_connection_to_the_next() {
    let steps = [Step::Expect(Expect {
        matcher: json("/result"),
        within: None,
        captures: Vec::new(),
        demands: vec![demand("/result", Must::Grow { within: ms(1_000) })],
    })];
    let shared = script(&[], &steps, &[]);
    let talk = |time, value: &str| {
        let message = format!(r#"{{"result":{value}}}"#);
        Talk::new(&shared).play(&[Round(time), Comes(time, &message)]).last().unwrap().clone()
    };
    assert_eq!(talk(0, "\"0x10\""), "0: done");
    assert_eq!(talk(900, "\"0x10\""), "900: done");
    assert_eq!(
        talk(1_100, "\"0x10\""),
        "1100: content not_growing: \
         /result must grow within 1s, and is still 0x10 after 16 came 1.1s ago"
    );
    assert_eq!(talk(2_000, "17"), "2000: done");
}
