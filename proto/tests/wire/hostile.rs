//! Rubbish into the decoders: no panic, no more out than in, and everything refused that is not exactly a value.

use quorate_proto::{
    BatchBody, SignedUnit,
    codec::{self, CodecError},
    frame::{self, AgentControl, AggregatorControl, JoinRequest, Upload},
    limits,
    unit::UnitError,
};

use super::{anything::decode_anything, samples};

const BYTES_MAX: usize = limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX;
const MUTATIONS: u64 = 200_000;

/// A small generator of our own (SplitMix64), so that a seed means the same inputs for ever.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

/// One to four changes of the kinds that confuse decoders.
fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    // What bincode takes for the beginning of a long number, and edges.
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xff];
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        match chance.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            1 if !bytes.is_empty() => bytes[at] = TELLING[chance.below(TELLING.len())],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, TELLING[chance.below(TELLING.len())]),
            4 if !bytes.is_empty() => drop(bytes.drain(at..(at + 1 + chance.below(8)).min(bytes.len()))),
            _ => {
                let end = (at + 1 + chance.below(64)).min(bytes.len());
                let piece = bytes[at.min(end)..end].to_vec();
                let to = chance.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
        }
    }
}

#[test]
fn mutated_values_break_no_decoder() {
    let seeds = samples::encodings();
    seeds.iter().for_each(|seed| decode_anything(seed));
    let mut chance = Chance(1);
    for _ in 0..MUTATIONS {
        let mut bytes = seeds[chance.below(seeds.len())].clone();
        mutate(&mut bytes, &mut chance);
        // Half of them with a prefix that fits, so that more than the prefix is looked at.
        if chance.below(2) == 0
            && let Some((prefix, payload)) = bytes.split_first_chunk_mut::<4>()
        {
            *prefix = u32::try_from(payload.len()).unwrap().to_be_bytes();
        }
        decode_anything(&bytes);
    }
}

#[test]
fn random_bytes_break_no_decoder() {
    let mut chance = Chance(2);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..chance.below(300)).map(|_| chance.next().to_le_bytes()[0]).collect();
        decode_anything(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = codec::VERSION;
            decode_anything(&bytes);
        }
    }
}

#[test]
fn only_the_whole_is_the_value() {
    for (frame, name) in [
        (frame::encode(&AgentControl::Hello(samples::hello()), BYTES_MAX), "hello"),
        (frame::encode(&AgentControl::Health(samples::health()), BYTES_MAX), "health"),
    ] {
        let frame = frame.unwrap();
        let payload = &frame[frame::PREFIX_BYTES..];
        let decode = |bytes: &[u8]| frame::decode::<AgentControl>(bytes, BYTES_MAX);
        assert!(decode(payload).is_ok(), "{name}");
        for end in 1..payload.len() {
            assert!(matches!(decode(&payload[..end]), Err(CodecError::Malformed(_))), "{name} cut at {end}");
        }
        assert_eq!(decode(&[]), Err(CodecError::Empty));
        assert_eq!(decode(&[payload, &[0, 0]].concat()), Err(CodecError::Trailing(2)));
        for version in [0, 1, 255] {
            let other = [&[version], &payload[1..]].concat();
            assert_eq!(decode(&other), Err(CodecError::Version(version)));
        }
        let bytes = payload.len();
        let error = frame::decode::<AgentControl>(payload, bytes - 1);
        assert_eq!(error, Err(CodecError::TooLarge { bytes, bytes_max: bytes - 1 }));
    }
}

#[test]
fn a_prefix_is_refused_before_anything_is_reserved() {
    let bytes_max = limits::AGENT_CONTROL_FRAME_BYTES_MAX;
    let prefix = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    assert_eq!(frame::payload_bytes(prefix(0), bytes_max), Err(CodecError::Empty));
    assert_eq!(frame::payload_bytes(prefix(bytes_max), bytes_max), Ok(bytes_max));
    let bytes = bytes_max + 1;
    assert_eq!(
        frame::payload_bytes(prefix(bytes), bytes_max),
        Err(CodecError::TooLarge { bytes, bytes_max })
    );
    assert!(frame::payload_bytes([0xff; 4], bytes_max).is_err());
}

/// bincode reserves what a length says before it reads. The bound on that trips first: a reservation that was made
/// would end as "unexpected end" instead. So what a small input may reserve is `8 * 16 KiB` for texts, and serde's
/// own 1 MiB for lists; both are given back with the error.
#[test]
fn a_length_reserves_no_more_than_the_input_may_hold() {
    let lengths: [(u64, &str); 3] = [
        (u64::MAX, "LimitExceeded"),
        (8 * limits::AGENT_CONTROL_FRAME_BYTES_MAX as u64 + 1, "LimitExceeded"),
        (1000, "UnexpectedEnd"),
    ];
    for (length, expected) in lengths {
        // A hello whose software claims to be so long.
        let bytes = [&[codec::VERSION, 0, 253][..], &length.to_le_bytes()].concat();
        let error = frame::decode::<AgentControl>(&bytes, limits::AGENT_CONTROL_FRAME_BYTES_MAX);
        let Err(CodecError::Malformed(why)) = error else { panic!("{error:?}") };
        assert!(why.contains(expected), "{length}: {why}");
        // An upload whose unit, a batch whose list of results, and a set of assignments that do.
        let list = [&[codec::VERSION, 253][..], &length.to_le_bytes()].concat();
        assert!(frame::decode::<Upload>(&list, limits::UPLOAD_FRAME_BYTES_MAX).is_err());
        let list = [&[codec::VERSION, 0, 0, 253][..], &length.to_le_bytes()].concat();
        assert!(codec::decode::<BatchBody>(&list, limits::UNIT_BYTES_MAX).is_err());
        let list = [&[codec::VERSION, 1, 0, 253][..], &length.to_le_bytes()].concat();
        assert!(frame::decode::<AggregatorControl>(&list, BYTES_MAX).is_err());
    }
}

/// A frame at its bound must be decodable, although the decoder counts numbers by their size in memory.
#[test]
fn the_largest_values_pass() {
    let upload = Upload { unit: vec![7; limits::UNIT_BYTES_MAX], held: Some(quorate_proto::Micros::MAX) };
    let frame = frame::encode(&upload, limits::UPLOAD_FRAME_BYTES_MAX).unwrap();
    let payload = &frame[frame::PREFIX_BYTES..];
    assert_eq!(frame::decode(payload, limits::UPLOAD_FRAME_BYTES_MAX), Ok(upload));

    let mut batch = samples::batch();
    batch.results = samples::failures().into_iter().cycle().take(limits::BATCH_RESULTS_MAX).collect();
    let bytes = codec::encode(&batch, limits::UNIT_BYTES_MAX).unwrap();
    assert_eq!(codec::decode(&bytes, limits::UNIT_BYTES_MAX), Ok(batch));

    // The smallest fields, the most of them: where the decoder's count and the wire's are furthest apart.
    let frames = [limits::AGENT_CONTROL_FRAME_BYTES_MAX / 8, limits::ASSIGNMENTS_PER_FRAME_MAX * 8];
    for count in frames {
        let mut assignment = samples::assignment();
        assignment.spec.steps = vec![quorate_proto::Step::Ping { within: None }; count];
        let set = AggregatorControl::Assign {
            revision: u64::MAX,
            assignments: vec![assignment; 4],
            first: true,
            last: true,
        };
        let frame = frame::encode(&set, BYTES_MAX).unwrap();
        assert_eq!(frame::decode(&frame[frame::PREFIX_BYTES..], BYTES_MAX), Ok(set));
    }
}

#[test]
fn the_longest_join_request_is_small() {
    let request = JoinRequest { software: "x".repeat(limits::SOFTWARE_BYTES_MAX), ..samples::join_request() };
    assert!(frame::encode(&request, limits::JOIN_FRAME_BYTES_MAX).is_ok());
}

#[test]
fn what_is_no_unit_is_refused() {
    let unit = samples::upload().unit;
    for end in 0..unit.len() {
        let cut = SignedUnit::parse(unit[..end].to_vec());
        assert!(cut.is_err() || !cut.unwrap().is_signed(), "cut at {end}");
    }
    assert_eq!(SignedUnit::parse(vec![1; 10]), Err(UnitError::Short(10)));
    assert_eq!(SignedUnit::parse([&[3], &unit[1..]].concat()), Err(UnitError::Kind(3)));
    let bytes = limits::UNIT_BYTES_MAX + 1;
    let too_large = CodecError::TooLarge { bytes, bytes_max: limits::UNIT_BYTES_MAX };
    assert_eq!(SignedUnit::parse(vec![1; bytes]), Err(UnitError::Body(too_large)));
    for at in 0..unit.len() {
        let mut forged = unit.clone();
        forged[at] ^= 0x10;
        assert!(SignedUnit::parse(forged).map_or(true, |unit| !unit.is_signed()), "changed at {at}");
    }
}
