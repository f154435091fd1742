//! The file of a preset.

use std::collections::BTreeMap;

use quorate_proto::{Micros, limits};
use toml::de::DeTable;

use super::{Parameter, Preset, PresetError, PresetOptions, Source};
use crate::config::{
    dialogue::dialogue,
    document::{Document, Section},
    environment::Environment,
    nearest::nearest,
    placeholders,
};

/// What can be set in a preset.
pub(super) fn parameters(
    source: &Source,
    environment: &Environment<'_>,
) -> Result<Vec<Parameter>, PresetError> {
    read(source, environment, |root| {
        // The other keys are read when the values are known.
        for (key, _) in root.entries() {
            root.pass_over(&key);
        }
        declared(root)
    })
}

/// The whole of it, with these options.
pub(super) fn preset(
    name: &str,
    source: &Source,
    options: &PresetOptions,
    timeout: Micros,
    environment: &Environment<'_>,
) -> Result<Preset, PresetError> {
    let parameters = parameters(source, environment)?;
    let values = values(name, &parameters, options)?;
    let mut shown = values.clone();
    for parameter in parameters.iter().filter(|parameter| parameter.secret) {
        shown.insert(parameter.name.clone(), "***".to_owned());
    }
    read(source, environment, |root| {
        declared(root);
        root.document().fill_in(values, shown);
        let line =
            |key: &'static str, wanted: &str| root.require(key, wanted).and_then(|item| item.text(wanted));
        let description = line("description", "the protocol, in a line");
        let specification = line("source", "where the protocol is specified");
        let healthy = line("healthy", "what a healthy server answers");
        let preset = Preset {
            name: name.to_owned(),
            description: description.unwrap_or_default(),
            source: specification.unwrap_or_default(),
            healthy: healthy.unwrap_or_default(),
            parameters,
            path: root.get("path").and_then(|item| {
                let path = item.text("a path")?;
                if !path.starts_with('/') {
                    item.refuse("a path that begins with /");
                }
                Some(path)
            }),
            query: query(root),
            dialogue: dialogue(root, timeout),
        };
        placeholders::check(root, preset.hello(), preset.steps(), preset.replies());
        preset
    })
}

/// Walks the file; its faults are the error.
fn read<T>(
    source: &Source,
    environment: &Environment<'_>,
    reader: impl FnOnce(&Section<'_>) -> T,
) -> Result<T, PresetError> {
    let document = Document::of_preset(&source.text, &source.file, environment);
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        for error in errors {
            let line = document.line(error.span().map_or(0, |span| span.start));
            document.fault(line, "", "TOML", error.message().lines().collect::<Vec<_>>().join("; "));
        }
        return Err(PresetError::Faults(document.close().0));
    }
    let root = document.root(table.get_ref());
    let value = reader(&root);
    root.close();
    match document.close().0 {
        faults if faults.is_empty() => Ok(value),
        faults => Err(PresetError::Faults(faults)),
    }
}

/// `[parameters.NAME]`.
fn declared(root: &Section<'_>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (name, item) in root.section("parameters").entries() {
        let Some(section) = item.section() else { continue };
        let description =
            section.require("description", "what it is").and_then(|item| item.text("what it is"));
        let parameter = Parameter {
            description: description.unwrap_or_default(),
            default: section.get("default").and_then(|item| item.text("a text")),
            secret: section.get("secret").and_then(|item| item.boolean()).unwrap_or(false),
            name,
        };
        section.close();
        let good = parameter.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !good || placeholders::OF_EVERY_CHECK.contains(&parameter.name.as_str()) {
            item.refuse_for(
                format!(
                    "a name of letters, digits and '_', other than {}",
                    placeholders::OF_EVERY_CHECK.join(", ")
                ),
                format!("{:?}", parameter.name),
            );
        }
        parameters.push(parameter);
    }
    parameters
}

fn values(
    preset: &str,
    parameters: &[Parameter],
    options: &PresetOptions,
) -> Result<BTreeMap<String, String>, PresetError> {
    let known = || parameters.iter().map(|parameter| parameter.name.as_str());
    for (option, value) in options {
        let preset = preset.to_owned();
        if !known().any(|name| name == option) {
            let near = nearest(option, known()).map(ToOwned::to_owned);
            let known = known().map(ToOwned::to_owned).collect();
            return Err(PresetError::UnknownOption { preset, option: option.clone(), near, known });
        }
        if value.len() > limits::STEP_TEXT_BYTES_MAX || value.chars().any(char::is_control) {
            return Err(PresetError::OptionValue { preset, option: option.clone() });
        }
    }
    let value = |parameter: &Parameter| {
        let value = options.get(&parameter.name).or(parameter.default.as_ref());
        let missing = || PresetError::MissingOption {
            preset: preset.to_owned(),
            option: parameter.name.clone(),
            description: parameter.description.clone(),
        };
        Ok((parameter.name.clone(), value.ok_or_else(missing)?.clone()))
    };
    parameters.iter().map(value).collect()
}

/// `query = { name = "value" }`: what the query of the URL gets.
fn query(root: &Section<'_>) -> Vec<(String, String)> {
    let entries = root.section("query").entries();
    entries.into_iter().filter_map(|(name, item)| Some((name, item.text("a text")?))).collect()
}
