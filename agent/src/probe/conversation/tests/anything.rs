//! Whatever a monitor says and a server sends: it ends, it holds little, and nothing panics.

use proptest::prelude::*;

use super::*;

fn matcher() -> impl Strategy<Value = Matcher> {
    prop_oneof![
        Just(Matcher::ANY),
        Just(has("a")),
        Just(has("{{nonce}}")),
        Just(Matcher::regex("^[ab]+$")),
        Just(json("/n")),
        Just(Matcher::json_equals("/n", "1")),
        Just(Matcher::of(Condition::Prefix(b"a".to_vec()))),
    ]
}

fn demands() -> impl Strategy<Value = Vec<Demand>> {
    let must = prop_oneof![
        Just(Must::Follow),
        (0_u64..2_000).prop_map(|millis| Must::Grow { within: ms(millis) }),
        (0_u64..2_000).prop_map(|millis| Must::BeFresh { age: ms(millis) }),
    ];
    proptest::collection::vec(must.prop_map(|must| demand("/n", must)), 0..2)
}

fn step() -> impl Strategy<Value = Step> {
    let within = || proptest::option::of((1_u64..500).prop_map(ms));
    prop_oneof![
        Just(send("{{nonce}} {{now_ms}} {{count}}")),
        Just(Step::Send(Payload::Binary(vec![1, 2]))),
        within().prop_map(|within| Step::Ping { within }),
        (matcher(), within(), demands()).prop_map(|(matcher, within, demands)| {
            let captures = vec![take("all", CaptureFrom::Regex(".*".into()))];
            Step::Expect(Expect { matcher, within, captures, demands })
        }),
        (matcher(), 1_u64..500, 1_u16..5, demands())
            .prop_map(|(matcher, every, messages, demands)| stream(matcher, every, messages, demands)),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Message(Vec<u8>),
    Ping,
    Pong(bool),
    Round,
    Listen,
    Time(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let text = "[ab]{0,3}|\\{\"n\":(1|2|\"0x3\"|1700000000)\\}|2";
    prop_oneof![
        4 => text.prop_map(|text| Event::Message(text.into_bytes())),
        1 => any::<Vec<u8>>().prop_map(Event::Message),
        1 => Just(Event::Message(vec![b'a'; limits::KEPT_BYTES_MAX / 2 + 1])),
        1 => Just(Event::Ping),
        2 => any::<bool>().prop_map(Event::Pong),
        2 => Just(Event::Round),
        1 => Just(Event::Listen),
        2 => (0_u64..400).prop_map(Event::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_conversation_stays_within_its_bounds(
        hello in proptest::collection::vec(step(), 0..3),
        steps in proptest::collection::vec(step(), 0..5),
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let reply = Reply { to: Matcher::regex("^2$"), with: Payload::Text("3".into()) };
        let mut conversation = Conversation::new(script(&hello, &steps, &[reply]), seeds());
        let mut time = 0;
        let mut pinged = [0; 8];
        let mut failed = None;
        for event in events {
            // However often it is asked: after every step once, and once more to wait.
            let mut asked = 0;
            loop {
                asked += 1;
                prop_assert!(asked <= hello.len() + steps.len() + 3, "it never waits");
                match conversation.poll(at(time)) {
                    Action::Send(Outgoing::Ping(payload)) => pinged = payload,
                    Action::Send(_) => {}
                    Action::Wait(until) => {
                        prop_assert!(until.is_none_or(|until| until > at(time).tick), "it waits for the past");
                        break;
                    }
                    Action::Idle => break,
                    Action::Failed(failure) => {
                        prop_assert!(failure.is_within_limits());
                        // What failed stays failed, with the same words.
                        prop_assert_eq!(failed.get_or_insert_with(|| failure.clone()), &failure);
                        break;
                    }
                }
            }
            let kept_bytes: usize = conversation.kept.iter().map(|(kept, _)| kept.len()).sum();
            prop_assert!(conversation.kept.len() <= limits::MESSAGES_KEPT_MAX);
            prop_assert!(kept_bytes <= limits::KEPT_BYTES_MAX);
            prop_assert_eq!(kept_bytes, conversation.kept_bytes);
            prop_assert!(conversation.replies.is_empty());
            prop_assert!(conversation.overdue(at(time).tick, ms(9)).is_within_limits());
            let _ = conversation.standing();
            match event {
                Event::Message(message) => conversation.handle(at(time), Inbound::Data(&message)),
                Event::Ping => conversation.handle(at(time), Inbound::Ping),
                Event::Pong(right) => {
                    let payload = if right { pinged } else { [9; 8] };
                    conversation.handle(at(time), Inbound::Pong(&payload));
                }
                Event::Round => conversation.begin_round(),
                Event::Listen => drop(conversation.listen()),
                Event::Time(millis) => time += millis,
            }
        }
    }
}
