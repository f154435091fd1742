//! What a monitor says on its connections, with its preset and its canary.

use quorate_proto::{Micros, Step, canary::Canary, limits};

use super::{
    canary::{CanaryKeys, Spoken},
    dialogue::{Dialogue, dialogue},
    document::Section,
    endpoint::origin_beside,
    placeholders,
    presets::{Preset, PresetError, PresetOptions, Presets},
};

/// What a monitor says.
pub(super) struct Said {
    /// The URL, as its preset completes it.
    pub(super) url: Option<String>,
    pub(super) dialogue: Dialogue,
    pub(super) canary: Option<Canary>,
}

/// `presets = "folder"`, and those that ship.
pub(super) fn presets(root: &Section<'_>) -> Presets {
    let Some(item) = root.get("presets") else { return Presets::built_in() };
    let folder = item.text("the path of a folder with presets");
    let read = folder
        .map(|folder| Presets::with_folder(&item.document().resolve(&folder), item.document().environment()));
    match read {
        Some(Ok(presets)) => return presets,
        Some(Err((wanted, found))) => item.refuse_for(wanted, found),
        None => {}
    }
    Presets::built_in()
}

/// Reads it all, and checks what only the whole can tell.
pub(super) fn said(section: &Section<'_>, presets: &Presets, url: Option<url::Url>, timeout: Micros) -> Said {
    let own = dialogue(section, timeout);
    let own_canary = own.canary;
    let preset = preset(section, presets, timeout);
    let url = url.map(|url| match &preset {
        Some(preset) => preset.completed(url),
        None => url,
    });
    let (theirs, their_canary) = match preset {
        Some(preset) => {
            let canary = preset.canary();
            (preset.dialogue, canary)
        }
        None => (Dialogue::default(), CanaryKeys::default()),
    };
    let mut dialogue = own.or(theirs);
    if let (Some(url), Some(origin)) = (&url, dialogue.origin.take()) {
        dialogue.origin = Some(origin_beside(origin, url));
    }
    let ping = [Step::Ping { within: None }];
    let hello = dialogue.hello.as_deref().unwrap_or_default();
    let steps = dialogue.steps.as_deref().unwrap_or(&ping);
    let replies = dialogue.replies.as_deref().unwrap_or_default();
    if [("hello", hello.len()), ("steps", steps.len()), ("replies", replies.len())]
        .into_iter()
        .all(|(key, read)| count(section, key).is_none_or(|written| written == read))
    {
        placeholders::check(section, hello, steps, replies);
    }
    check_samples(section, dialogue.samples.unwrap_or(1), hello, steps, timeout);
    let spoken = Spoken { hello, steps };
    let canary = own_canary.resolved(their_canary, section, &spoken);
    Said { url: url.map(String::from), dialogue, canary }
}

/// How many stand in a list of the monitor's own.
fn count(section: &Section<'_>, key: &'static str) -> Option<usize> {
    Some(section.get(key)?.value().as_array()?.iter().count())
}

/// `preset` and `preset_options`.
fn preset(section: &Section<'_>, presets: &Presets, timeout: Micros) -> Option<Preset> {
    let options = section.get("preset_options");
    let Some(item) = section.get("preset") else {
        if let Some(options) = options {
            options.refuse_for("preset = \"name\" beside preset_options", "none");
        }
        return None;
    };
    let entries = options.and_then(|item| item.section()).map(|table| table.entries()).unwrap_or_default();
    let mut values = PresetOptions::new();
    for (name, entry) in &entries {
        // It may be a password.
        values.insert(name.clone(), entry.text_or_file("a text in quotes").unwrap_or_default());
    }
    let name = item.text("the name of a preset; `quorate presets` lists them")?;
    let document = section.document();
    let entry = |option: &str| entries.iter().find(|(name, _)| name == option).map(|(_, item)| item);
    match presets.read(&name, &values, timeout, document.environment()) {
        Ok(preset) => return Some(preset),
        Err(PresetError::Unknown { near: Some(near), .. }) => {
            item.refuse(format!("a preset, perhaps \"{near}\""))
        }
        Err(PresetError::Unknown { near: None, .. }) => {
            item.refuse(format!("one of the presets {}", presets.names().collect::<Vec<_>>().join(", ")));
        }
        Err(PresetError::UnknownOption { option, near, known, .. }) => {
            let wanted = match near {
                Some(near) => format!("an option of the preset {name}, perhaps \"{near}\""),
                None if known.is_empty() => format!("no options: the preset {name} has none"),
                None => format!("one of the options {} of the preset {name}", known.join(", ")),
            };
            entry(&option)?.refuse_for(wanted, format!("{option:?}"));
        }
        Err(PresetError::MissingOption { option, description, .. }) => {
            item.refuse_for(format!("preset_options = {{ {option} = \"…\" }}: {description}"), "none");
        }
        Err(PresetError::OptionValue { option, .. }) => {
            let wanted = format!("one line of at most {} bytes", limits::STEP_TEXT_BYTES_MAX);
            entry(&option)?.refuse_for(wanted, "more, or control characters");
        }
        Err(PresetError::Faults(faults)) => document.take_over(faults),
        // Reading needs no URL.
        Err(PresetError::Url(_)) => {}
    }
    None
}

/// Refuses round trips of nothing, and says where their spans together are longer than the check may take.
fn check_samples(section: &Section<'_>, samples: u16, hello: &[Step], steps: &[Step], timeout: Micros) {
    let waits = |steps: &[Step]| {
        steps.iter().fold(Micros::ZERO, |sum, step| match step {
            Step::Send(_) => sum,
            Step::Expect(expect) => sum + expect.within.unwrap_or(Micros::ZERO),
            Step::Stream(stream) => sum + stream.every * u64::from(stream.messages),
            Step::Ping { within } => sum + within.unwrap_or(Micros::ZERO),
        })
    };
    let streams = steps.iter().any(|step| matches!(step, Step::Stream(_)));
    let Some(item) = section.get("samples").or_else(|| section.get("steps").filter(|_| streams)) else {
        return;
    };
    if samples > 1 && steps.is_empty() {
        item.refuse_for("steps for the round trips", "an empty list of steps");
    }
    let longest = waits(hello) + waits(steps) * u64::from(samples);
    if longest > timeout {
        item.warn(format!(
            "{samples} round trips may wait {longest} by their spans, and the whole check ends after its timeout of \
             {timeout}: a server that is slow in each fails it there"
        ));
    }
}
