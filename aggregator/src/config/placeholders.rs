//! `{{name}}` in the texts of steps: whether an agent will have a value for each, said where it stands.

use quorate_proto::{
    Step,
    step::Reply,
    template::{self, Place, TemplateFault},
};

use super::{document::Section, nearest::nearest};

/// The names that every check has.
pub(super) const OF_EVERY_CHECK: [&str; 3] = template::BUILT_IN;

/// Notes every placeholder that has no value where it stands, and every capture that takes a name of the agent's own.
pub(super) fn check(section: &Section<'_>, hello: &[Step], steps: &[Step], replies: &[Reply]) {
    let captured = hello.iter().chain(steps).flat_map(Step::captures).map(|capture| capture.name.as_str());
    let known: Vec<&str> = captured.chain(OF_EVERY_CHECK).collect();
    note_spaces(section, hello, steps, &known);
    for (place, fault) in template::faults(hello, steps, replies) {
        let (wanted, found) = match fault {
            TemplateFault::NotCaptured(name) if known.contains(&name.as_str()) => {
                (format!("{{{{{name}}}}} only after the step that captures it"), name)
            }
            TemplateFault::NotCaptured(name) => match nearest(&name, known.iter().copied()) {
                Some(near) => (format!("a placeholder that has a value, perhaps {{{{{near}}}}}"), name),
                None => {
                    let wanted =
                        format!("one of {}, or a capture of this name before it", OF_EVERY_CHECK.join(", "));
                    (wanted, name)
                }
            },
            TemplateFault::BuiltIn(name) => {
                (format!("a capture with a name other than {}", OF_EVERY_CHECK.join(", ")), name)
            }
            TemplateFault::InReplyTo(name) => ("no placeholder in what is replied to".to_owned(), name),
        };
        note(section, place, wanted, format!("{{{{{found}}}}}"));
    }
}

/// `{{ nonce }}`, as other template languages write it, is plain text here, and surely not meant so.
fn note_spaces(section: &Section<'_>, hello: &[Step], steps: &[Step], known: &[&str]) {
    let of = |place: fn(usize) -> Place, steps: &[Step]| {
        for (index, step) in steps.iter().enumerate() {
            for (text, name) in
                step.texts().iter().flat_map(|text| known.iter().map(move |name| (text, name)))
            {
                let spaced = format!("{{{{ {name} }}}}");
                if text.contains(&spaced) {
                    note(section, place(index), format!("{{{{{name}}}}} without spaces"), spaced);
                }
            }
        }
    };
    of(Place::Hello, hello);
    of(Place::Step, steps);
}

fn note(section: &Section<'_>, place: Place, wanted: String, found: String) {
    let (key, index) = match place {
        Place::Hello(index) => ("hello", index),
        Place::Step(index) => ("steps", index),
        Place::Reply(index) => ("replies", index),
    };
    match section.get(key).and_then(|item| item.list("a list")).unwrap_or_default().get(index) {
        Some(item) => item.refuse_for(wanted, found),
        // The list is the preset's of a monitor.
        None => section.document().fault(section.line(), &section.path_of(key), wanted, found),
    }
}
