//! `domains` and `min_domains`: which labels of agents form domains, and how many of them must fail.

use std::collections::BTreeSet;

use quorate_quorum::{DOMAIN_LABELS, MIN_DOMAINS};

use super::{
    document::{Item, Section},
    nearest::nearest,
};
use crate::limits;

/// Which labels of agents form domains, and how many domains must fail for down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domains {
    /// The labels whose values form domains; none: regions alone count.
    pub labels: BTreeSet<String>,
    /// How many domains of each label the failing regions must span, where so many are there; 1: domains do not matter.
    pub min: u16,
}

impl Default for Domains {
    fn default() -> Self {
        Self { labels: DOMAIN_LABELS.map(str::to_owned).into(), min: MIN_DOMAINS }
    }
}

/// The keys that `[defaults]` and a monitor share.
pub(super) fn domains(section: &Section<'_>, base: &Domains) -> Domains {
    let labels = section.get("domains");
    let min = section.get("min_domains");
    Domains {
        labels: labels.and_then(|item| label_names(&item)).unwrap_or_else(|| base.labels.clone()),
        min: min.and_then(|item| number(&item)).unwrap_or(base.min),
    }
}

fn label_names(item: &Item<'_>) -> Option<BTreeSet<String>> {
    const WANTED: &str =
        "a list of labels that agents carry, such as [\"provider\", \"network\"]; [] for none";
    let items = item.list(WANTED)?;
    if items.len() > limits::AGENT_LABELS_MAX {
        item.refuse_for(format!("at most {} labels", limits::AGENT_LABELS_MAX), items.len().to_string());
        return None;
    }
    items.iter().map(label_name).collect()
}

fn label_name(item: &Item<'_>) -> Option<String> {
    let name = item.text("the name of a label, such as \"provider\"")?;
    if name.is_empty() || name.len() > limits::AGENT_LABEL_BYTES_MAX || name.contains('=') {
        let most = limits::AGENT_LABEL_BYTES_MAX;
        item.refuse_for(format!("the name of a label: 1 to {most} bytes and no \"=\""), format!("{name:?}"));
        return None;
    }
    // Any name may be a label; one that is nearly a usual one is rather a slip.
    if !DOMAIN_LABELS.contains(&name.as_str())
        && let Some(near) = nearest(&name, DOMAIN_LABELS)
    {
        item.warn(format!("a label of your own, {name:?}; is {near:?} meant?"));
    }
    Some(name)
}

fn number(item: &Item<'_>) -> Option<u16> {
    let number = item.integer().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    if number.is_none() {
        item.refuse("a number of domains from 1; 1 turns domains off");
    }
    number
}
