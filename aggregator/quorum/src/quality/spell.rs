//! A spell of something: it begins when it is seen, and ends when it has not been seen for long enough.

use quorate_proto::Micros;

use crate::Moment;

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is so.
    Seen,
    /// It is not so.
    NotSeen,
    /// Nobody can tell: nothing begins, and what goes on does not come nearer to its end.
    Unknown,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It begins.
    Begins,
    /// It ends.
    Ends,
}

/// A spell that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    pub(super) since: Moment,
    /// When it was last seen, or nobody could tell.
    held_at: Moment,
    /// When it was last seen; not since a start where that is what it is known from.
    pub(super) seen_at: Option<Moment>,
}

impl Spell {
    pub(super) fn restored(since: Moment, at: Moment) -> Self {
        Self { since, held_at: at, seen_at: None }
    }

    /// Begins to wait for the end anew.
    pub(super) fn hold(&mut self, at: Moment) {
        self.held_at = self.held_at.max(at);
    }
}

/// Takes a look into account. A spell ends when it was not seen for `calm`.
pub(super) fn look(spell: &mut Option<Spell>, look: Look, calm: Micros, at: Moment) -> Option<Turn> {
    match (spell.as_mut(), look) {
        (None, Look::Seen) => {
            *spell = Some(Spell { since: at, held_at: at, seen_at: Some(at) });
            Some(Turn::Begins)
        }
        (None, Look::NotSeen | Look::Unknown) => None,
        (Some(going), Look::Seen | Look::Unknown) => {
            going.hold(at);
            if look == Look::Seen {
                going.seen_at = Some(at);
            }
            None
        }
        (Some(going), Look::NotSeen) => {
            if at.since(going.held_at) < calm {
                return None;
            }
            *spell = None;
            Some(Turn::Ends)
        }
    }
}
