//! What a failure likely means, and what to do about it.
//!
//! All of it is one table, read from the top: the first row that fits a failure explains it. What was seen comes from the
//! failure, what it means comes from the table: from the WebSocket standard (RFC 6455), and from how real servers and
//! proxies behave when they break.

mod beside;
mod names;
mod product;
mod proxies;
mod table;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

pub use self::{
    beside::{CONNECTION_LIMIT, DRAINING},
    product::Product,
};
use self::{
    names::{CLOSE_CODE_NAMES, STATUS_NAMES},
    proxies::PROXIES,
    table::{STATUS, TABLE, UNKNOWN},
};
use crate::outcome::{
    ContentFault, DnsFault, Failure, FailureKind, Phase, SilentDrop, UpgradeFault, UpgradeRefusal,
};

/// The likely cause of a failure, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// [`crate::FailureKind::name`]; [`CONNECTION_LIMIT`] or [`DRAINING`] where the agent's canary lives meanwhile.
    pub kind: &'static str,
    /// One sentence: what was seen.
    pub summary: String,
    /// One or two sentences: what is the likely cause and what to do. Short enough for an alert.
    pub hint: &'static str,
    /// The exact mend, line by line: configuration or commands, with comments. Empty where there is none to give.
    pub mend: &'static [&'static str],
    /// Who answered instead of the server, where a refused upgrade tells.
    pub answered_by: Option<Product>,
}

/// Explains a failure.
pub fn explain(failure: &Failure) -> Cause {
    let (kind, row) = match beside::of(failure) {
        Some((kind, row)) => (*kind, row),
        None => (failure.kind.name(), rows().find(|row| row.case.fits(failure)).unwrap_or(&UNKNOWN)),
    };
    let number = if let FailureKind::UpgradeStatus(status) = &failure.kind {
        named(*status, STATUS_NAMES)
    } else if let FailureKind::Closed { code, .. } = &failure.kind {
        named(*code, CLOSE_CODE_NAMES)
    } else {
        String::new()
    };
    let headline = row.headline.replace("{}", &number);
    let summary = match failure.detail.as_str() {
        "" => headline,
        detail => format!("{headline} ({detail})"),
    };
    Cause {
        kind,
        summary,
        hint: row.hint,
        mend: row.mend,
        answered_by: refusal(failure).and_then(Product::of),
    }
}

/// The whole table: what is said of a product that is recognised, and behind it what is said of anybody.
fn rows() -> impl Iterator<Item = &'static Row> {
    PROXIES.iter().chain(TABLE)
}

/// One line of the table.
struct Row {
    case: Case,
    /// What was seen, before the failure's own detail. `{}` stands for the status or close code with its name.
    headline: &'static str,
    hint: &'static str,
    mend: &'static [&'static str],
}

/// A row whose hint says all there is to do.
const fn row(case: Case, headline: &'static str, hint: &'static str) -> Row {
    mended(case, headline, hint, &[])
}

/// A row with the exact mend.
const fn mended(
    case: Case,
    headline: &'static str,
    hint: &'static str,
    mend: &'static [&'static str],
) -> Row {
    Row { case, headline, hint, mend }
}

/// Which failures a row explains.
enum Case {
    /// Those of this name.
    Kind(&'static str),
    /// Those of this name in this phase.
    KindIn(&'static str, Phase),
    Dns(DnsFault),
    Upgrade(UpgradeFault),
    SilentDrop(SilentDrop),
    Content(ContentFault),
    /// A status in the range.
    Status(RangeInclusive<u16>),
    /// A status in the range from this product.
    By(Product, RangeInclusive<u16>),
    /// The same, and the body has these words, in any case.
    Saying(Product, RangeInclusive<u16>, &'static str),
    /// A close code in the range.
    Closed(RangeInclusive<u16>),
}

impl Case {
    fn fits(&self, failure: &Failure) -> bool {
        match (self, &failure.kind) {
            (Self::Dns(wanted), FailureKind::Dns(fault)) => wanted == fault,
            (Self::Upgrade(wanted), FailureKind::UpgradeInvalid(fault)) => wanted == fault,
            (Self::SilentDrop(wanted), FailureKind::SilentDrop(at)) => wanted == at,
            (Self::Content(wanted), FailureKind::Content(fault)) => wanted == fault,
            (Self::Status(range), FailureKind::UpgradeStatus(status)) => range.contains(status),
            (Self::By(product, range), FailureKind::UpgradeStatus(status)) => {
                range.contains(status) && refusal(failure).is_some_and(|refusal| product.answered(refusal))
            }
            (Self::Saying(product, range, words), FailureKind::UpgradeStatus(status)) => {
                range.contains(status)
                    && refusal(failure).is_some_and(|refusal| {
                        product.answered(refusal) && refusal.body.to_lowercase().contains(words)
                    })
            }
            (Self::Closed(range), FailureKind::Closed { code, .. }) => range.contains(code),
            (Self::KindIn(name, phase), kind) => *name == kind.name() && *phase == failure.phase,
            (Self::Kind(name), kind) => *name == kind.name(),
            _ => false,
        }
    }
}

fn refusal(failure: &Failure) -> Option<&UpgradeRefusal> {
    failure.refusal.as_ref()
}

fn named(number: u16, names: &[(u16, &str)]) -> String {
    match names.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => format!("{number} {name}"),
        None => number.to_string(),
    }
}
