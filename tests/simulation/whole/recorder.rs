//! Writes down what the programs log, and knows from turmoil's spans whose turn it is.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::machine::Machine;

/// A subscriber that feeds a machine's trace.
pub(crate) struct Recorder {
    machine: Machine,
    /// What must not be in a trace: the run's folder.
    folder: String,
    spans: AtomicU64,
    hosts: Mutex<BTreeMap<u64, String>>,
}

impl Recorder {
    pub(crate) fn new(machine: Machine, folder: String) -> Self {
        Self { machine, folder, spans: AtomicU64::new(1), hosts: Mutex::default() }
    }

    fn host_of(&self, span: &Id) -> Option<String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(&span.into_u64()).cloned()
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("quorate") || is_turn(metadata)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let number = self.spans.fetch_add(1, Ordering::Relaxed);
        if is_turn(attributes.metadata()) {
            let mut words = Words::default();
            attributes.record(&mut words);
            self.hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(number, words.name);
        }
        Id::from_u64(number)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let fields = words.fields.replace(&self.folder, "~");
        self.machine.note(format_args!("{level} {target}: {}{fields}", words.message));
    }

    fn enter(&self, span: &Id) {
        if let Some(host) = self.host_of(span) {
            self.machine.state().host = Some(host);
        }
    }

    fn exit(&self, span: &Id) {
        if self.host_of(span).is_some() {
            self.machine.state().host = None;
        }
    }

    fn try_close(&self, span: Id) -> bool {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).remove(&span.into_u64());
        true
    }
}

/// Whether a span is a host's turn.
fn is_turn(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == "node" && metadata.target().starts_with("turmoil")
}

/// The words of an event.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
    /// The host, of a turn.
    name: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            self.name = value.to_owned();
        }
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The one port that the real system chooses.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "http_addr" => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
