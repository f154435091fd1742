//! Prometheus' text format, version 0.0.4.
//!
//! An encoder of our own, because that of `prometheus-client` writes OpenMetrics, where a counter's family lacks the
//! `_total` of its samples and constants are of type `info`: `promtool check metrics` refuses both. Nothing else
//! of such a library would be used, as every number here is read from the snapshot at the scrape.

use std::fmt::Write as _;

/// The media type of what [`text`] gives.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name: `quorate_` and the thing, its base unit, and `_total` for a counter.
    pub name: &'static str,
    /// What it is, in one line.
    pub help: &'static str,
    /// What kind of number it is.
    pub kind: FamilyKind,
    /// The numbers.
    pub samples: Vec<Sample>,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only grows, until a restart.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What stands behind the family's name: empty, or `_bucket`, `_sum`, `_count` of a histogram.
    pub suffix: &'static str,
    /// Labels and their values.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

impl Family {
    /// A counter without numbers yet; its name ends in `_total`.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: FamilyKind::Counter, samples: Vec::new() }
    }

    /// A gauge without numbers yet.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: FamilyKind::Gauge, samples: Vec::new() }
    }

    /// Adds a number.
    #[must_use]
    pub fn with(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        self.push(labels, value);
        self
    }

    /// Adds a number.
    pub fn push(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.samples.push(Sample { suffix: "", labels, value });
    }

    /// A histogram without labels; see [`Family::push_histogram`].
    pub fn histogram(
        name: &'static str,
        help: &'static str,
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) -> Self {
        let mut family = Self::of_histograms(name, help);
        family.push_histogram(&[], bounds, counts, sum);
        family
    }

    /// A family of histograms, without one yet.
    pub fn of_histograms(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: FamilyKind::Histogram, samples: Vec::new() }
    }

    /// Adds a histogram. `counts` has one count per bound, not added up, and a last one for everything above.
    pub fn push_histogram(
        &mut self,
        labels: &[(&'static str, &str)],
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut below = 0;
        let edges = bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in edges.zip(counts.iter().copied().chain(std::iter::repeat(0))) {
            below += count;
            let labels = labels.iter().cloned().chain([("le", number(bound))]).collect();
            self.samples.push(Sample { suffix: "_bucket", labels, value: below as f64 });
        }
        self.samples.push(Sample { suffix: "_sum", labels: labels.clone(), value: sum });
        self.samples.push(Sample { suffix: "_count", labels, value: below as f64 });
    }
}

/// The families as text. One without numbers is left out.
pub(super) fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let kind = match family.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP {} {help}\n# TYPE {} {kind}", family.name, family.name);
        for sample in &family.samples {
            write_sample(&mut text, family.name, sample);
        }
    }
    text
}

fn write_sample(text: &mut String, name: &str, sample: &Sample) {
    text.push_str(name);
    text.push_str(sample.suffix);
    for (index, (label, value)) in sample.labels.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        let _ = write!(text, "{label}=\"{value}\"");
    }
    if !sample.labels.is_empty() {
        text.push('}');
    }
    let _ = writeln!(text, " {}", number(sample.value));
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_the_format_wants() {
        let families = [
            Family::counter("a_total", "A \\ and\na line.").with(&[("x", "q\"\\\n"), ("y", "")], 3.0),
            Family::gauge("b_seconds", "B.").with(&[], 0.25),
            Family::gauge("none", "Has no numbers."),
            Family::histogram("h_seconds", "H.", &[1.0, 2.5], &[4, 0, 2], 9.5),
            Family::histogram("i_seconds", "I.", &[1.0], &[], 0.0),
        ];
        let wanted = r#"# HELP a_total A \\ and\na line.
# TYPE a_total counter
a_total{x="q\"\\\n",y=""} 3
# HELP b_seconds B.
# TYPE b_seconds gauge
b_seconds 0.25
# HELP h_seconds H.
# TYPE h_seconds histogram
h_seconds_bucket{le="1"} 4
h_seconds_bucket{le="2.5"} 4
h_seconds_bucket{le="+Inf"} 6
h_seconds_sum 9.5
h_seconds_count 6
# HELP i_seconds I.
# TYPE i_seconds histogram
i_seconds_bucket{le="1"} 0
i_seconds_bucket{le="+Inf"} 0
i_seconds_sum 0
i_seconds_count 0
"#;
        assert_eq!(text(&families), wanted);
    }
}
