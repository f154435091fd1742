//! Feeds bytes to everything in this crate that takes bytes from a peer. The fuzz target (`tests/fuzz`) and the plain
//! test beside this file both call it.

use std::fmt::Debug;

use quorate_proto::{
    AgentKey, AggregatorKey, BatchBody, Gap, MonitorId, SignedUnit,
    codec::{self, CodecError},
    frame::{self, Ack, AgentControl, AggregatorControl, JoinReply, JoinRequest, PREFIX_BYTES, Upload},
    join::JoinString,
    limits, verify,
};
use serde::{Serialize, de::DeserializeOwned};

/// Decodes `bytes` as everything that they might be.
///
/// # Panics
/// Where a decoder breaks a promise: more comes out than went in, or something that does not encode to itself again.
pub(super) fn decode_anything(bytes: &[u8]) {
    if let Some((prefix, payload)) = bytes.split_first_chunk::<PREFIX_BYTES>() {
        let length = frame::payload_bytes(*prefix, limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX);
        assert_ne!(length, Ok(0));
        decode_payload(payload);
    }
    decode_payload(bytes);
    if let Ok(unit) = SignedUnit::parse(bytes.to_vec()) {
        assert_eq!(unit.as_bytes(), bytes, "kept as received");
        let (agent, aggregator) = (unit.place().agent, unit.place().aggregator);
        // Whatever the signature, the body's decoder has to stand it.
        let content = unit.content();
        let verdict = verify::authenticate(unit, &agent, &aggregator);
        assert!(verdict.is_err() || content.is_ok());
    }
    let _ = AgentKey::from_spki(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(join) = text.parse::<JoinString>() {
            assert_eq!(join.to_string().parse(), Ok(join));
        }
        let _ = (text.parse::<MonitorId>(), text.parse::<AggregatorKey>());
    }
}

fn decode_payload(bytes: &[u8]) {
    match decode(bytes, limits::AGENT_CONTROL_FRAME_BYTES_MAX) {
        Some(AgentControl::Hello(hello)) => assert!(hello.software.len() <= bytes.len()),
        Some(AgentControl::Health(health)) => {
            assert!(health.doubts.len() <= bytes.len());
            let _ = health.is_within_limits();
        }
        None => {}
    }
    match decode(bytes, limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX) {
        Some(AggregatorControl::Assign { assignments, .. }) => {
            assert!(assignments.len() <= bytes.len());
            assignments.iter().for_each(|assignment| {
                let _ = assignment.spec.is_within_limits();
            });
        }
        Some(AggregatorControl::Change { changed, removed, .. }) => {
            assert!(changed.len() + removed.len() <= bytes.len());
        }
        Some(AggregatorControl::Controls(controls)) => {
            assert!(controls.targets.len() <= bytes.len());
            let _ = controls.is_within_limits();
        }
        Some(
            AggregatorControl::Welcome(_) | AggregatorControl::Confirm { .. } | AggregatorControl::Revoke,
        )
        | None => {}
    }
    if let Some(upload) = decode::<Upload>(bytes, limits::UPLOAD_FRAME_BYTES_MAX) {
        assert!(upload.unit.len() <= bytes.len());
        let _ = SignedUnit::parse(upload.unit).map(|unit| unit.content());
    }
    if let Some(batch) = decode::<BatchBody>(bytes, limits::UNIT_BYTES_MAX) {
        assert!(batch.results.len() <= bytes.len());
        let _ = batch.is_within_limits();
    }
    let _ = decode::<Gap>(bytes, limits::UNIT_BYTES_MAX);
    let _ = decode::<Ack>(bytes, limits::ACK_FRAME_BYTES_MAX);
    let _ = decode::<JoinRequest>(bytes, limits::JOIN_FRAME_BYTES_MAX);
    let _ = decode::<JoinReply>(bytes, limits::JOIN_FRAME_BYTES_MAX);
}

/// Decodes, and checks that what came out is what its encoding says: never more than its bound, and the same again.
fn decode<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8], bytes_max: usize) -> Option<T> {
    let value: T = match codec::decode(bytes, bytes_max) {
        Ok(value) => value,
        Err(CodecError::TooLarge { .. }) => {
            assert!(bytes.len() > bytes_max);
            return None;
        }
        Err(_) => return None,
    };
    let again = codec::encode(&value, bytes_max);
    // Numbers may come in more bytes than they need, so the encoding may be shorter, never longer.
    assert!(again.as_ref().is_ok_and(|again| again.len() <= bytes.len()), "{value:?} from {bytes:02x?}");
    let again = again.and_then(|again| codec::decode(&again, bytes_max));
    assert_eq!(again.as_ref(), Ok(&value));
    Some(value)
}
