//! Presets: what is said, expected and answered in a well-known protocol, as data files.
//!
//! `aggregator/presets` holds those that ship; a configuration may name a folder with more (`presets = "folder"`), of which
//! a file with the name of a shipped one takes its place. A preset is a TOML file with the keys of a monitor that say what
//! is said, a description, and parameters: `{{name}}` in its texts, which a monitor sets by `preset_options`.

mod read;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use quorate_proto::{
    Micros, MonitorSpec, Step, canary::CanaryMode, limits as protocol, monitor::Header, step::Reply,
};

use super::{
    canary::{CanaryKeys, Spoken},
    dialogue::Dialogue,
    endpoint::origin_beside,
    environment::Environment,
    fault::Fault,
    nearest::nearest,
};
use crate::limits;

/// The files that ship, by name.
const BUILT_IN: [(&str, &str); 8] = [
    ("actioncable", include_str!("../../presets/actioncable.toml")),
    ("graphql", include_str!("../../presets/graphql.toml")),
    ("jsonrpc", include_str!("../../presets/jsonrpc.toml")),
    ("mqtt", include_str!("../../presets/mqtt.toml")),
    ("phoenix", include_str!("../../presets/phoenix.toml")),
    ("signalr", include_str!("../../presets/signalr.toml")),
    ("socketio", include_str!("../../presets/socketio.toml")),
    ("stomp", include_str!("../../presets/stomp.toml")),
];

/// The presets that can be named, shipped and the user's own.
#[derive(Clone, Debug)]
pub struct Presets {
    sources: BTreeMap<String, Source>,
}

/// One preset's file.
#[derive(Clone, Debug)]
struct Source {
    /// What faults call it.
    file: String,
    text: String,
}

/// A preset with its options filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// What it is named by.
    pub name: String,
    /// Which protocol it speaks, in a line.
    pub description: String,
    /// Where that protocol is specified.
    pub source: String,
    /// What a healthy server answers.
    pub healthy: String,
    /// What can be set.
    pub parameters: Vec<Parameter>,
    /// The path of the URL, where the monitor's URL has none.
    pub path: Option<String>,
    /// What the query of the URL gets, where it has not yet a pair of that name.
    pub query: Vec<(String, String)>,
    pub(super) dialogue: Dialogue,
}

/// Something that can be set in a preset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, in `{{…}}` and in `preset_options`.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its value where it is not set; none: it must be set.
    pub default: Option<String>,
    /// Whether it is never shown.
    pub secret: bool,
}

/// Why a preset cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// There is none of this name.
    #[error("no preset \"{name}\"{}; `quorate presets` lists them", hint(near.as_deref()))]
    Unknown {
        /// The name.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// It has no parameter of this name.
    #[error("preset {preset} has no option \"{option}\"{}; {}", hint(near.as_deref()), has(known))]
    UnknownOption {
        /// The preset.
        preset: String,
        /// The option.
        option: String,
        /// What was probably meant.
        near: Option<String>,
        /// The parameters that it has.
        known: Vec<String>,
    },
    /// A parameter without a default is not set.
    #[error("preset {preset} wants the option \"{option}\": {description}")]
    MissingOption {
        /// The preset.
        preset: String,
        /// The option.
        option: String,
        /// What it is.
        description: String,
    },
    /// A value that no protocol takes.
    #[error(
        "preset {preset}: the option \"{option}\" must be one line without control characters, of at most {} bytes",
        protocol::STEP_TEXT_BYTES_MAX
    )]
    OptionValue {
        /// The preset.
        preset: String,
        /// The option.
        option: String,
    },
    /// Its file has faults, perhaps only with these options.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
    /// The URL of the monitor is none.
    #[error("\"{0}\" is not a URL")]
    Url(String),
}

fn hint(near: Option<&str>) -> String {
    near.map(|near| format!(", perhaps \"{near}\"")).unwrap_or_default()
}

fn has(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}

/// The values of parameters, by name.
pub type PresetOptions = BTreeMap<String, String>;

/// Makes a specification speak a shipped preset. What the preset says takes the place of what stands there, except for
/// headers and pairs of the query that are there already, and for a path; whoever wants to say something else in a place
/// sets it afterwards. The canary is left alone. Spans that the preset waits are cut to the specification's timeout.
///
/// # Errors
/// Where there is no such preset, and where the options do not fit it; the specification is then as it was.
pub fn apply(name: &str, options: &PresetOptions, spec: &mut MonitorSpec) -> Result<(), PresetError> {
    let preset = Presets::built_in().read(name, options, spec.timeout, &Environment::of_process())?;
    preset.apply(spec)
}

impl Presets {
    /// Those that ship.
    pub fn built_in() -> Self {
        let source = |(name, text): (&str, &str)| {
            (name.to_owned(), Source { file: format!("preset {name}"), text: text.to_owned() })
        };
        Self { sources: BUILT_IN.into_iter().map(source).collect() }
    }

    /// Those that ship and those of a folder, where every file `NAME.toml` is one.
    ///
    /// # Errors
    /// What cannot be read, as wanted and found.
    pub fn with_folder(folder: &Path, environment: &Environment<'_>) -> Result<Self, (String, String)> {
        let mut presets = Self::built_in();
        let unreadable = |path: &Path, error: &std::io::Error| {
            (format!("a readable folder of presets, {}", path.display()), error.to_string())
        };
        let mut paths: Vec<PathBuf> =
            (environment.folder)(folder).map_err(|error| unreadable(folder, &error))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        if paths.len() > limits::PRESETS_MAX {
            return Err((
                format!("at most {} presets in a folder", limits::PRESETS_MAX),
                paths.len().to_string(),
            ));
        }
        for path in paths {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let bytes = (environment.file)(&path).map_err(|error| unreadable(&path, &error))?;
            if bytes.len() > limits::CONFIG_FILE_REFERENCE_BYTES_MAX {
                let bytes_max = limits::CONFIG_FILE_REFERENCE_BYTES_MAX;
                return Err((format!("presets of at most {bytes_max} bytes"), path.display().to_string()));
            }
            let text = String::from_utf8(bytes)
                .map_err(|_| ("presets in UTF-8".to_owned(), format!("other bytes in {}", path.display())))?;
            presets.sources.insert(name.to_owned(), Source { file: path.display().to_string(), text });
        }
        Ok(presets)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.sources.keys().map(String::as_str)
    }

    /// The file of a preset, as it is.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.sources.get(name).map(|source| source.text.as_str())
    }

    /// What a preset is, with `<name>` for parameters that must be set.
    ///
    /// # Errors
    /// Where there is none of this name, or its file has faults.
    pub fn describe(&self, name: &str, environment: &Environment<'_>) -> Result<Preset, PresetError> {
        let source = self.source(name)?;
        let options = read::parameters(source, environment)?
            .into_iter()
            .filter(|parameter| parameter.default.is_none())
            .map(|parameter| (parameter.name.clone(), format!("<{}>", parameter.name)))
            .collect();
        read::preset(name, source, &options, protocol::TIMEOUT_MAX, environment)
    }

    /// A preset with these options, for checks with this timeout.
    ///
    /// # Errors
    /// Where there is none of this name, its file has faults, or the options do not fit it.
    pub fn read(
        &self,
        name: &str,
        options: &PresetOptions,
        timeout: Micros,
        environment: &Environment<'_>,
    ) -> Result<Preset, PresetError> {
        read::preset(name, self.source(name)?, options, timeout, environment)
    }

    fn source(&self, name: &str) -> Result<&Source, PresetError> {
        self.sources.get(name).ok_or_else(|| PresetError::Unknown {
            name: name.to_owned(),
            near: nearest(name, self.names()).map(ToOwned::to_owned),
        })
    }
}

impl Preset {
    /// Makes a specification speak it; see [`apply`].
    ///
    /// # Errors
    /// Where the specification's URL is none.
    pub fn apply(self, spec: &mut MonitorSpec) -> Result<(), PresetError> {
        let url = url::Url::parse(&spec.url).map_err(|_| PresetError::Url(spec.url.clone()))?;
        let url = self.completed(url);
        let own = Dialogue {
            headers: std::mem::take(&mut spec.headers),
            origin: spec.origin.take(),
            ..Dialogue::default()
        };
        let dialogue = own.or(self.dialogue);
        spec.hello = dialogue.hello.unwrap_or_default();
        spec.steps = dialogue.steps.unwrap_or_else(|| vec![Step::Ping { within: None }]);
        spec.samples = dialogue.samples.unwrap_or(spec.samples);
        spec.replies = dialogue.replies.unwrap_or_default();
        spec.subprotocols = dialogue.subprotocols.unwrap_or_default();
        spec.headers = dialogue.headers;
        spec.origin = dialogue.origin.map(|origin| origin_beside(origin, &url));
        spec.url = url.into();
        Ok(())
    }

    /// A URL with the preset's path, where it has none, and with what its query lacks.
    pub(super) fn completed(&self, mut url: url::Url) -> url::Url {
        if let (Some(path), "" | "/") = (&self.path, url.path()) {
            url.set_path(path);
        }
        let is_missing = |name: &str| url.query_pairs().all(|(known, _)| known != name);
        let missing: Vec<_> =
            self.query.iter().filter(|(name, value)| !value.is_empty() && is_missing(name)).collect();
        if !missing.is_empty() {
            url.query_pairs_mut().extend_pairs(missing);
        }
        url
    }

    /// What is said first on every connection.
    pub fn hello(&self) -> &[Step] {
        self.dialogue.hello.as_deref().unwrap_or_default()
    }

    /// One round trip.
    pub fn steps(&self) -> &[Step] {
        self.dialogue.steps.as_deref().unwrap_or_default()
    }

    /// What is answered whenever it comes.
    pub fn replies(&self) -> &[Reply] {
        self.dialogue.replies.as_deref().unwrap_or_default()
    }

    /// The subprotocols that are offered.
    pub fn subprotocols(&self) -> &[String] {
        self.dialogue.subprotocols.as_deref().unwrap_or_default()
    }

    /// The request headers that are added.
    pub fn headers(&self) -> &[Header] {
        &self.dialogue.headers
    }

    /// What a canary's heartbeat is, where a monitor wants a canary and says no more.
    pub fn canary_mode(&self) -> CanaryMode {
        let spoken = Spoken { hello: self.hello(), steps: self.steps() };
        self.canary().mode_for(&spoken)
    }

    pub(super) fn canary(&self) -> CanaryKeys {
        self.dialogue.canary
    }
}
