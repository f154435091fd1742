//! What a failure likely means, and what to do about it.

use crate::outcome::Failure;

/// The likely cause of a failure, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// [`crate::FailureKind::name`].
    pub kind: &'static str,
    /// One sentence: what was seen.
    pub summary: String,
    /// One or two sentences: what is the likely cause and what to do.
    pub hint: &'static str,
}

/// Explains a failure.
pub fn explain(failure: &Failure) -> Cause {
    Cause { kind: failure.kind.name(), summary: failure.detail.clone(), hint: "" }
}
