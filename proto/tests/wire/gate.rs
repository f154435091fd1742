//! The gate: what passes, what waits, what is refused.

use quorate_proto::{
    Admission, AgentKey, Authentic, BatchBody, BootEpoch, Chains, Digest, Failure, FailureKind, Gap,
    GapCause, MonitorId, Outcome, Phase, Refusal, Sequence, SignedUnit, SigningKey, limits,
    unit::{Content, Place, UnitError},
    verify::{self, Head},
};

use super::samples;

fn batch_unit(place: &Place, key: &SigningKey) -> SignedUnit {
    SignedUnit::sign(place, &Content::Batch(samples::batch()), key).unwrap()
}

fn authentic(unit: SignedUnit) -> Authentic {
    let agent = unit.place().agent;
    verify::authenticate(unit, &agent, &samples::aggregator_key()).unwrap()
}

/// A unit with a batch, at a place of an epoch.
fn at(epoch: u64, sequence: u64, previous: Digest) -> SignedUnit {
    let place = Place { epoch: BootEpoch(epoch), ..samples::place(sequence, previous) };
    batch_unit(&place, &samples::agent_key())
}

fn gap_at(epoch: u64, sequence: u64, resume: u64, resume_previous: Digest) -> SignedUnit {
    let place = Place { epoch: BootEpoch(epoch), ..samples::place(sequence, Digest::NONE) };
    let gap = Gap { resume: Sequence(resume), resume_previous, results: 1, cause: GapCause::SpoolFull };
    SignedUnit::sign(&place, &Content::Gap(gap), &samples::agent_key()).unwrap()
}

#[derive(Debug, PartialEq, Eq)]
enum Passed {
    Next,
    Duplicate,
    Early,
    Refused(&'static str),
}

/// Puts a unit through the gate, and moves on where it is the next.
fn admit(chains: &mut Chains, unit: SignedUnit) -> Passed {
    match verify::admit(authentic(unit), chains, |_| true) {
        Ok(Admission::Next(verified)) => {
            chains.advance(&verified);
            Passed::Next
        }
        Ok(Admission::Duplicate) => Passed::Duplicate,
        Ok(Admission::Early(_)) => Passed::Early,
        Err(refusal) => Passed::Refused(refusal.name()),
    }
}

#[test]
fn what_is_not_authentic_is_refused() {
    let (agent, aggregator) = (samples::agent_key(), samples::aggregator_key());
    let other = samples::key(0x77);
    let good = batch_unit(&samples::place(0, Digest::NONE), &agent);
    let check = |unit: &SignedUnit, agent: AgentKey, aggregator| {
        verify::authenticate(unit.clone(), &agent, &aggregator).unwrap_err()
    };
    assert!(verify::authenticate(good.clone(), &agent.agent_key(), &aggregator).is_ok());
    assert_eq!(check(&good, other.agent_key(), aggregator), Refusal::ForeignAgent(agent.agent_key()));
    let foreign = Refusal::ForeignAggregator(aggregator);
    assert_eq!(check(&good, agent.agent_key(), other.aggregator_key()), foreign);
    let forged = batch_unit(&samples::place(0, Digest::NONE), &other);
    assert_eq!(check(&forged, agent.agent_key(), aggregator), Refusal::Signature);
    // Signed all right, and still nothing: a body above its bounds, and none.
    let failure = |detail: &str| Failure {
        detail: detail.repeat(limits::DETAIL_BYTES_MAX + 1),
        ..Failure::new(FailureKind::Dropped, Phase::Exchange, "")
    };
    let wordy =
        BatchBody { results: vec![samples::result(Outcome::Failed(failure("x")))], ..samples::batch() };
    let empty = BatchBody { results: vec![], canaries: vec![], idle_timeouts: vec![], ..samples::batch() };
    let long = BatchBody {
        results: vec![samples::result(Outcome::Passed); limits::BATCH_RESULTS_MAX + 1],
        ..samples::batch()
    };
    for body in [wordy, empty, long] {
        let unit = samples::unit(0, Digest::NONE, &Content::Batch(body));
        let refusal = check(&unit, agent.agent_key(), aggregator);
        assert_eq!(refusal, Refusal::Malformed(UnitError::Bounds));
    }
}

#[test]
fn a_chain_grows_unit_by_unit() {
    let mut chains = Chains::default();
    let first = at(3, 0, Digest::NONE);
    let second = at(3, 1, first.digest());
    let third = at(3, 2, second.digest());
    assert_eq!(admit(&mut chains, third.clone()), Passed::Early);
    assert_eq!(admit(&mut chains, first.clone()), Passed::Next);
    assert_eq!(admit(&mut chains, first.clone()), Passed::Duplicate);
    assert_eq!(admit(&mut chains, third.clone()), Passed::Early);
    assert_eq!(admit(&mut chains, second.clone()), Passed::Next);
    assert_eq!(admit(&mut chains, third.clone()), Passed::Next);
    for unit in [first, second, third.clone()] {
        assert_eq!(admit(&mut chains, unit), Passed::Duplicate);
    }
    let head = Head { next: Sequence(3), digest: third.digest() };
    assert_eq!(chains.head(BootEpoch(3)), Some(head));
}

#[test]
fn history_cannot_be_rewritten() {
    let mut chains = Chains::default();
    let first = at(3, 0, Digest::NONE);
    assert_eq!(
        admit(&mut chains, at(3, 0, Digest([1; 32]))),
        Passed::Refused("chain"),
        "a first with a past"
    );
    assert_eq!(admit(&mut chains, first), Passed::Next);
    assert_eq!(
        admit(&mut chains, at(3, 1, Digest([1; 32]))),
        Passed::Refused("chain"),
        "another predecessor"
    );
    let again =
        samples::unit(0, Digest::NONE, &Content::Batch(BatchBody { revision: 99, ..samples::batch() }));
    assert_eq!(admit(&mut chains, again), Passed::Refused("chain"), "the same place with other content");
    assert_eq!(admit(&mut chains, at(3, 0, Digest([1; 32]))), Passed::Refused("chain"));
}

#[test]
fn a_gap_stands_for_what_is_lost() {
    let first = at(3, 0, Digest::NONE);
    let lost = Digest([9; 32]);
    let begun = || {
        let mut chains = Chains::default();
        assert_eq!(admit(&mut chains, first.clone()), Passed::Next);
        chains
    };
    // (where it begins, where it resumes, what becomes of it when units up to 0 are there)
    for (sequence, resume, expected) in [
        (1, 5, Passed::Next),
        (0, 5, Passed::Next),
        (0, 1, Passed::Duplicate),
        (2, 5, Passed::Early),
        (1, 1, Passed::Refused("chain")),
        (5, 2, Passed::Refused("chain")),
    ] {
        let passed = admit(&mut begun(), gap_at(3, sequence, resume, lost));
        assert_eq!(passed, expected, "from {sequence} to {resume}");
    }
    let mut chains = begun();
    assert_eq!(admit(&mut chains, gap_at(3, 1, 5, lost)), Passed::Next);
    assert_eq!(admit(&mut chains, gap_at(3, 1, 5, lost)), Passed::Duplicate);
    assert_eq!(admit(&mut chains, at(3, 3, lost)), Passed::Duplicate, "given up by the agent itself");
    assert_eq!(admit(&mut chains, at(3, 5, Digest([8; 32]))), Passed::Refused("chain"));
    assert_eq!(admit(&mut chains, at(3, 5, lost)), Passed::Next, "the chain goes on over the gap");
}

#[test]
fn old_epochs_are_forgotten_and_stay_so() {
    let mut chains = Chains::default();
    let remembered = limits::EPOCHS_REMEMBERED_MAX as u64;
    for epoch in 1..=remembered + 2 {
        assert_eq!(admit(&mut chains, at(epoch, 0, Digest::NONE)), Passed::Next);
    }
    assert_eq!(chains.heads().count(), limits::EPOCHS_REMEMBERED_MAX);
    for epoch in [0, 1, 2] {
        assert_eq!(admit(&mut chains, at(epoch, 0, Digest::NONE)), Passed::Refused("epoch"), "{epoch}");
    }
    assert_eq!(
        admit(&mut chains, at(3, 0, Digest::NONE)),
        Passed::Duplicate,
        "the oldest that is remembered"
    );
    let restored = Chains::restore(chains.heads());
    assert_eq!(restored.heads().collect::<Vec<_>>(), chains.heads().collect::<Vec<_>>());
}

#[test]
fn a_monitor_that_was_never_given_is_refused_wherever_the_unit_stands() {
    let chains = Chains::default();
    for unit in [at(3, 0, Digest::NONE), at(3, 7, Digest([1; 32]))] {
        let refusal =
            verify::admit(authentic(unit), &chains, |monitor| monitor.as_str() != "chat").unwrap_err();
        let chat: MonitorId = "chat".parse().unwrap();
        assert_eq!(refusal, Refusal::ForeignMonitor(chat));
        assert_eq!(refusal.name(), "foreign_monitor");
    }
    let gap = verify::admit(authentic(gap_at(3, 0, 5, Digest::NONE)), &chains, |_| false);
    assert!(gap.is_ok(), "a gap speaks of no monitor");
}
