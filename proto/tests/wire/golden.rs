//! The bytes on the wire and on disk, pinned. Each file of `proto/golden` is one value, field by field: hexadecimal, and
//! behind `#` what it is. `QUORATE_BLESS=1 cargo test -p quorate-proto --test wire` rewrites them; a change of any of
//! them needs a new codec version.
//!
//! The fields are encoded one by one and must add up to the encoding of the whole: a value is its fields in order of
//! declaration, without names or padding, an enum its variant's number first.

use std::{collections::BTreeSet, fmt::Debug, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use quorate_proto::{
    BatchBody, Digest, SignedUnit, codec,
    frame::{self, AgentControl, AggregatorControl, JoinReply, JoinRequest, Upload},
    limits,
    unit::Content,
};
use serde::{Serialize, de::DeserializeOwned};

use super::samples;

const BYTES_MAX: usize = limits::AGGREGATOR_CONTROL_FRAME_BYTES_MAX;

/// One line of a golden file.
struct Line {
    bytes: Vec<u8>,
    what: String,
}

fn raw(what: impl Into<String>, bytes: &[u8]) -> Line {
    Line { bytes: bytes.to_vec(), what: what.into() }
}

/// One field, without the version byte of an encoding of its own.
fn field<T: Serialize + Debug>(name: &str, value: &T) -> Line {
    let bytes = codec::encode(value, BYTES_MAX).unwrap();
    Line { bytes: bytes[1..].to_vec(), what: format!("{name} = {value:?}") }
}

fn variant(name: &str, number: u8) -> Line {
    raw(format!("variant {number}: {name}"), &[number])
}

fn version() -> Line {
    raw("codec version", &[codec::VERSION])
}

/// Compares with the file, or writes it.
fn check(name: &str, lines: &[Line], whole: &[u8]) {
    let sum: Vec<u8> = lines.iter().flat_map(|line| line.bytes.clone()).collect();
    assert_eq!(HEXLOWER.encode(&sum), HEXLOWER.encode(whole), "{name}: the fields do not make up the whole");
    let text: String =
        lines.iter().map(|line| format!("{} # {}\n", HEXLOWER.encode(&line.bytes), line.what)).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.hex"));
    if std::env::var_os("QUORATE_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes_of(&golden), whole, "{name}: the bytes changed");
    assert_eq!(golden, text, "{name}: the comments changed");
}

fn bytes_of(golden: &str) -> Vec<u8> {
    let hex = golden.lines().filter_map(|line| line.split('#').next()).map(str::trim);
    HEXLOWER.decode(hex.collect::<String>().as_bytes()).unwrap()
}

/// Checks a frame: prefix, version, fields; and that the bytes mean the value.
fn check_frame<T>(name: &str, value: &T, fields: Vec<Line>)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let whole = frame::encode(value, BYTES_MAX).unwrap();
    let length = u32::try_from(whole.len() - frame::PREFIX_BYTES).unwrap();
    let mut lines = vec![raw(format!("length of the payload = {length}"), &length.to_be_bytes()), version()];
    lines.extend(fields);
    check(name, &lines, &whole);
    let payload = &whole[frame::PREFIX_BYTES..];
    assert_eq!(frame::payload_bytes(length.to_be_bytes(), BYTES_MAX), Ok(payload.len()));
    assert_eq!(frame::decode::<T>(payload, BYTES_MAX).as_ref(), Ok(value));
}

fn assignment_fields() -> Vec<Line> {
    let assignment = samples::assignment();
    let spec = &assignment.spec;
    vec![
        raw("assignments: 1", &[1]),
        field("spec.id", &spec.id),
        field("spec.url", &spec.url),
        field("spec.interval", &spec.interval),
        field("spec.timeout", &spec.timeout),
        field("spec.hello", &spec.hello),
        field("spec.steps", &spec.steps),
        field("spec.samples", &spec.samples),
        field("spec.replies", &spec.replies),
        field("spec.headers", &spec.headers),
        field("spec.subprotocols", &spec.subprotocols),
        field("spec.origin", &spec.origin),
        field("spec.sni", &spec.sni),
        field("spec.connect_to", &spec.connect_to),
        field("spec.ca_pem", &spec.ca_pem),
        field("spec.verify_tls", &spec.verify_tls),
        field("spec.client_certificate", &spec.client_certificate),
        field("spec.proxy", &spec.proxy),
        field("spec.addresses", &spec.addresses),
        field("spec.family", &spec.family),
        field("spec.canary", &spec.canary),
        field("spec.idle_search", &spec.idle_search),
        field("slot.index", &assignment.slot.index),
        field("slot.of", &assignment.slot.of),
    ]
}

#[test]
fn frames_of_agents() {
    let hello = samples::hello();
    check_frame(
        "frame_hello",
        &AgentControl::Hello(hello.clone()),
        vec![
            variant("Hello", 0),
            field("software", &hello.software),
            field("epoch", &hello.epoch),
            field("revision", &hello.revision),
        ],
    );
    let health = samples::health();
    check_frame(
        "frame_health",
        &AgentControl::Health(health.clone()),
        vec![
            variant("Health", 1),
            field("revision", &health.revision),
            field("monitors", &health.monitors),
            field("checks", &health.checks),
            field("event_loop_lag_max", &health.event_loop_lag_max),
            field("schedule_lag_max", &health.schedule_lag_max),
            field("spool_units", &health.spool_units),
            field("spool_bytes", &health.spool_bytes),
            field("results_dropped", &health.results_dropped),
            field("records_torn", &health.records_torn),
            field("spool_failing", &health.spool_failing),
            field("canaries", &health.canaries),
            field("canaries_without", &health.canaries_without),
            raw("doubts: 1", &[1]),
            field("doubt", &health.doubts[0]),
        ],
    );
    let upload: Upload = samples::upload();
    check_frame(
        "frame_upload",
        &upload,
        vec![
            raw("bytes of the unit: 251 stands for a u16 that follows", &[251]),
            raw("bytes of the unit", &u16::try_from(upload.unit.len()).unwrap().to_le_bytes()),
            raw("unit: see unit_batch.hex", &upload.unit),
            field("held", &upload.held),
        ],
    );
    let request: JoinRequest = samples::join_request();
    check_frame(
        "frame_join_request",
        &request,
        vec![
            field("token", &request.token),
            field("secret", &request.secret),
            field("software", &request.software),
        ],
    );
}

#[test]
fn frames_of_aggregators() {
    let welcome = samples::welcome();
    check_frame(
        "frame_welcome",
        &AggregatorControl::Welcome(welcome.clone()),
        vec![
            variant("Welcome", 0),
            field("name", &welcome.name),
            field("region", &welcome.region),
            field("wall", &welcome.wall),
        ],
    );
    let mut assign = vec![variant("Assign", 1), field("revision", &12u64)];
    assign.extend(assignment_fields());
    assign.extend([field("first", &true), field("last", &false)]);
    check_frame("frame_assign", &samples::assign(), assign);
    let mut change = vec![variant("Change", 2), field("revision", &13u64)];
    change.extend(assignment_fields());
    change.extend([field("removed", &["old", "older"].map(String::from).to_vec()), field("last", &true)]);
    check_frame("frame_change", &samples::change(), change);
    check_frame(
        "frame_confirm",
        &samples::confirm(),
        vec![variant("Confirm", 3), field("monitor", &"chat"), field("request", &77u64)],
    );
    check_frame("frame_revoke", &AggregatorControl::Revoke, vec![variant("Revoke", 4)]);
    let controls = samples::controls();
    check_frame(
        "frame_controls",
        &AggregatorControl::Controls(controls.clone()),
        vec![
            variant("Controls", 5),
            field("targets", &controls.targets),
            field("every", &controls.every),
            field("resolves", &controls.resolves),
            field("resolves_not", &controls.resolves_not),
        ],
    );
    let ack = samples::ack();
    check_frame(
        "frame_ack",
        &ack,
        vec![
            field("epoch", &ack.epoch),
            field("sequence", &ack.sequence),
            variant("Busy (0 Stored, 2 Refused)", 1),
        ],
    );
    check_frame(
        "frame_join_enrolled",
        &samples::enrolled(),
        vec![variant("Enrolled", 0), field("name", &"paris-1"), field("region", &"eu-west")],
    );
    check_frame("frame_join_refused", &JoinReply::Refused, vec![variant("Refused", 1)]);
}

fn check_unit(name: &str, sequence: u64, previous: Digest, content: &Content, body: Vec<Line>) {
    let unit = samples::unit(sequence, previous, content);
    let (place, bytes) = (unit.place(), unit.as_bytes());
    let kind = match content {
        Content::Batch(_) => raw("kind: a batch", &[1]),
        Content::Gap(_) => raw("kind: a gap", &[2]),
    };
    let mut lines = vec![
        kind,
        raw("aggregator's key", &place.aggregator.0),
        raw("agent's key", &place.agent.0),
        raw("boot epoch", &place.epoch.0.to_be_bytes()),
        raw("sequence number", &place.sequence.0.to_be_bytes()),
        raw("digest of the previous unit", &place.previous.0),
        version(),
    ];
    lines.extend(body);
    let (signed, signature) = bytes.split_at(bytes.len() - 64);
    lines.push(raw("Ed25519 over \"quorate signed unit v1\\0\" and all of the above", signature));
    check(name, &lines, bytes);
    let message = [b"quorate signed unit v1\0".as_slice(), signed].concat();
    assert!(place.agent.has_signed(&message, signature));
    let parsed = SignedUnit::parse(bytes.to_vec()).unwrap();
    assert!(parsed.is_signed());
    assert_eq!((parsed.place(), parsed.content().as_ref()), (place, Ok(content)));
}

/// Canaries and idle timeouts, an entry a line.
fn other_entries(batch: &BatchBody) -> Vec<Line> {
    let count = |count: usize| [u8::try_from(count).unwrap()];
    let mut lines = vec![raw(format!("canaries: {}", batch.canaries.len()), &count(batch.canaries.len()))];
    lines.extend(
        batch.canaries.iter().map(|canary| field(&format!("canary {}", canary.event.name()), canary)),
    );
    let timeouts = &batch.idle_timeouts;
    lines.push(raw(format!("idle timeouts: {}", timeouts.len()), &count(timeouts.len())));
    lines.extend(timeouts.iter().map(|timeout| field("idle timeout", timeout)));
    lines
}

#[test]
fn signed_units() {
    let batch = samples::batch();
    let mut body = vec![
        field("signed_at", &batch.signed_at),
        field("revision", &batch.revision),
        raw("results: 2", &[2]),
        field("result", &batch.results[0]),
        field("result", &batch.results[1]),
    ];
    body.extend(other_entries(&batch));
    check_unit("unit_batch", 0, Digest::NONE, &Content::Batch(batch), body);
    let gap = samples::gap();
    let body = vec![
        field("resume", &gap.resume),
        field("resume_previous", &gap.resume_previous),
        field("results", &gap.results),
        variant("SpoolFull (1 SpoolDamaged, 2 Refused, 3 Forgotten)", 0),
    ];
    check_unit("unit_gap", 4, Digest([0x11; 32]), &Content::Gap(gap), body);
}

#[test]
fn every_failure_kind() {
    let results = samples::failures();
    let names: BTreeSet<_> = samples::failure_kinds().iter().map(|kind| kind.name()).collect();
    assert_eq!(names, quorate_proto::FailureKind::NAMES.into_iter().collect(), "one of each");
    let body = BatchBody { results: results.clone(), ..samples::batch() };
    assert!(body.is_within_limits());
    let count = u8::try_from(results.len()).unwrap();
    let mut lines = vec![
        version(),
        field("signed_at", &body.signed_at),
        field("revision", &body.revision),
        raw(format!("results: {count}"), &[count]),
    ];
    lines.extend(results.iter().map(|result| {
        let failure = result.failure().unwrap();
        let Line { bytes, .. } = field("", result);
        raw(format!("{} in phase {}", failure.kind, failure.phase.name()), &bytes)
    }));
    lines.extend(other_entries(&body));
    let whole = codec::encode(&body, limits::UNIT_BYTES_MAX).unwrap();
    check("batch_failures", &lines, &whole);
    assert_eq!(codec::decode::<BatchBody>(&whole, limits::UNIT_BYTES_MAX), Ok(body));
}
