//! A typed reader over TOML with the lines kept, which collects faults instead of stopping at one.
//!
//! serde stops at the first fault, and knows nothing of secrets or of files. People who mend a configuration want to
//! see everything that is wrong with it at once, so the spanned document is walked by hand: whatever cannot be read is
//! noted with its line and key, and reading goes on. A section remembers which keys were asked for, and what is left
//! over at the end is unknown: the list of keys cannot drift from the code that reads them.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    environment::{Environment, ExpandError, expand},
    fault::{Fault, Warning},
    nearest::nearest,
    parameters,
};
use crate::limits;

/// One file while it is read.
pub(super) struct Document<'a> {
    file: &'a str,
    folder: PathBuf,
    line_starts: Vec<usize>,
    environment: &'a Environment<'a>,
    parameters: RefCell<BTreeMap<String, String>>,
    /// The same with `***` for secrets, for what is shown.
    parameters_shown: RefCell<BTreeMap<String, String>>,
    is_preset: bool,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Warning>>,
}

/// One table of the file; absent ones read as empty, so that their defaults apply.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    table: Option<&'d DeTable<'d>>,
    path: String,
    line: usize,
    asked: RefCell<Vec<Cow<'static, str>>>,
}

/// One value of the file.
pub(super) struct Item<'d> {
    document: &'d Document<'d>,
    value: &'d DeValue<'d>,
    pub(super) path: String,
    pub(super) line: usize,
    secret: bool,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &str, file: &'a str, environment: &'a Environment<'a>) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            file,
            folder: Path::new(file).parent().unwrap_or(Path::new("")).to_owned(),
            line_starts: newlines.map(|(at, _)| at + 1).collect(),
            environment,
            parameters: RefCell::default(),
            parameters_shown: RefCell::default(),
            is_preset: false,
            faults: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The same, for the file of a preset.
    pub(super) fn of_preset(text: &str, file: &'a str, environment: &'a Environment<'a>) -> Self {
        Self { is_preset: true, ..Self::new(text, file, environment) }
    }

    pub(super) fn is_preset(&self) -> bool {
        self.is_preset
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte) + 1
    }

    /// The whole file as a section.
    pub(super) fn root<'d>(&'d self, table: &'d DeTable<'d>) -> Section<'d> {
        Section {
            document: self,
            table: Some(table),
            path: String::new(),
            line: 1,
            asked: RefCell::default(),
        }
    }

    pub(super) fn fault(&self, line: usize, key: &str, wanted: impl Into<String>, found: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            file: self.file.to_owned(),
            line,
            key: key.to_owned(),
            wanted: wanted.into(),
            found: found.into(),
        });
    }

    pub(super) fn warn(&self, line: usize, key: &str, text: impl Into<String>) {
        self.warnings.borrow_mut().push(Warning {
            file: self.file.to_owned(),
            line,
            key: key.to_owned(),
            text: text.into(),
        });
    }

    /// A path of the file, which is relative to the file's own folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Puts these values in place of `{{name}}` in every text that is read from here on; and those in what is shown.
    pub(super) fn fill_in(&self, parameters: BTreeMap<String, String>, shown: BTreeMap<String, String>) {
        *self.parameters.borrow_mut() = parameters;
        *self.parameters_shown.borrow_mut() = shown;
    }

    /// A text with the parameters' values in place.
    pub(super) fn filled(&self, text: &str) -> String {
        parameters::fill(text, &self.parameters.borrow())
    }

    /// The value of a parameter, where the file has one of this name.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.borrow().get(name).cloned()
    }

    /// The names of the parameters.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        self.parameters.borrow().keys().cloned().collect()
    }

    pub(super) fn environment(&self) -> &'a Environment<'a> {
        self.environment
    }

    pub(super) fn is_faultless(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// Takes over what was noted of another file that this one refers to, perhaps several times.
    pub(super) fn take_over(&self, faults: Vec<Fault>) {
        let mut known = self.faults.borrow_mut();
        for fault in faults {
            if !known.contains(&fault) {
                known.push(fault);
            }
        }
    }

    /// Everything noted: that of this file in order of line, then that of the files that it refers to.
    pub(super) fn close(self) -> (Vec<Fault>, Vec<Warning>) {
        let (mut faults, mut warnings) = (self.faults.into_inner(), self.warnings.into_inner());
        faults.sort_by(|a, b| {
            let place = |fault: &Fault| (fault.file != self.file, fault.file.clone(), fault.line);
            place(a).cmp(&place(b))
        });
        warnings.sort_by_key(|warning| warning.line);
        (faults, warnings)
    }
}

impl<'d> Section<'d> {
    /// A value, where the key is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'d>> {
        if !self.asked.borrow().iter().any(|asked| asked == key) {
            self.asked.borrow_mut().push(key.into());
        }
        let value = self.table?.get(key)?;
        Some(Item {
            document: self.document,
            value: value.get_ref(),
            path: joined(&self.path, key),
            line: self.document.line(value.span().start),
            secret: false,
        })
    }

    /// Takes a key as known without reading it.
    pub(super) fn pass_over(&self, key: &str) {
        self.asked.borrow_mut().push(key.to_owned().into());
    }

    /// A value that must be there.
    pub(super) fn require(&self, key: &'static str, wanted: &str) -> Option<Item<'d>> {
        let item = self.get(key);
        if item.is_none() {
            self.document.fault(self.line, &joined(&self.path, key), wanted, "nothing");
        }
        item
    }

    /// A table within; absent reads as empty.
    pub(super) fn section(&self, key: &'static str) -> Section<'d> {
        self.get(key).and_then(|item| item.section()).unwrap_or_else(|| Section {
            document: self.document,
            table: None,
            path: joined(&self.path, key),
            line: self.line,
            asked: RefCell::default(),
        })
    }

    /// The elements of an array; absent reads as empty.
    pub(super) fn list(&self, key: &'static str, wanted: &str) -> Vec<Item<'d>> {
        self.get(key).and_then(|item| item.list(wanted)).unwrap_or_default()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    pub(super) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The full name of one of its keys.
    pub(super) fn path_of(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// All keys and values as they are, in order of the file, for tables whose keys the operator chooses.
    pub(super) fn entries(&self) -> Vec<(String, Item<'d>)> {
        let mut entries: Vec<_> = self.table.into_iter().flatten().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let item = |(key, value): (&Spanned<Cow<'d, str>>, &'d Spanned<DeValue<'d>>)| {
            let item = Item {
                document: self.document,
                value: value.get_ref(),
                path: joined(&self.path, key.get_ref()),
                line: self.document.line(key.span().start),
                secret: false,
            };
            (key.get_ref().to_string(), item)
        };
        entries.into_iter().map(item).collect()
    }

    /// Ends the reading: every key that nobody asked for is a fault.
    pub(super) fn close(self) {
        let asked = self.asked.into_inner();
        for (key, _) in self.table.into_iter().flatten() {
            if asked.contains(key.get_ref()) {
                continue;
            }
            let wanted = match nearest(key.get_ref(), asked.iter().map(AsRef::as_ref)) {
                Some(known) => format!("a known key, perhaps \"{known}\""),
                None => format!("one of the keys {}", asked.join(", ")),
            };
            let line = self.document.line(key.span().start);
            self.document.fault(
                line,
                &joined(&self.path, key.get_ref()),
                wanted,
                format!("{:?}", key.get_ref()),
            );
        }
    }
}

impl<'d> Item<'d> {
    /// The same value, never to be printed.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    pub(super) fn value(&self) -> &'d DeValue<'d> {
        self.value
    }

    /// Notes that something else belongs here.
    pub(super) fn refuse(&self, wanted: impl Into<String>) {
        let found = self.shown();
        self.refuse_for(wanted, found);
    }

    /// Notes that something else belongs here, and says what was found in words.
    pub(super) fn refuse_for(&self, wanted: impl Into<String>, found: impl Into<String>) {
        self.document.fault(self.line, &self.path, wanted, found);
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        self.document.warn(self.line, &self.path, text);
    }

    /// A text, completed from the environment and the file's parameters. `wanted` says what it is for.
    pub(super) fn text(&self, wanted: &str) -> Option<String> {
        self.template(wanted).map(|text| self.document.filled(&text))
    }

    /// A text, completed from the environment alone.
    pub(super) fn template(&self, wanted: &str) -> Option<String> {
        let Some(raw) = self.value.as_str() else {
            self.refuse(wanted);
            return None;
        };
        match expand(raw, &self.document.environment.variable) {
            Ok(text) => Some(text),
            Err(ExpandError::Missing(name)) => {
                self.refuse_for(format!("the environment variable {name} to be set"), "it is not set");
                None
            }
            Err(ExpandError::Unclosed) => {
                self.refuse_for(
                    "${NAME} with a closing brace ($${ stands for a literal ${)",
                    "no closing brace",
                );
                None
            }
        }
    }

    /// A text that parses as `T`.
    pub(super) fn parsed<T: std::str::FromStr>(&self, wanted: &str) -> Option<T> {
        let parsed = self.text(wanted)?.parse().ok();
        if parsed.is_none() {
            self.refuse(wanted);
        }
        parsed
    }

    /// A text that may also stand in a file, as `file:PATH`; the file's trailing newline is cut.
    pub(super) fn text_or_file(&self, wanted: &str) -> Option<String> {
        let text = self.text(wanted)?;
        let Some(path) = text.strip_prefix("file:") else { return Some(text) };
        let content = self.file(path)?;
        let content = content.strip_suffix('\n').unwrap_or(&content);
        Some(content.strip_suffix('\r').unwrap_or(content).to_owned())
    }

    /// The text of a file that is named here, relative to the configuration.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let path = self.document.resolve(path);
        let wanted = format!("a readable file {}", path.display());
        let bytes = match (self.document.environment.file)(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.refuse_for(wanted, error.to_string());
                return None;
            }
        };
        if bytes.len() > limits::CONFIG_FILE_REFERENCE_BYTES_MAX {
            let wanted = format!("at most {} bytes", limits::CONFIG_FILE_REFERENCE_BYTES_MAX);
            self.refuse_for(wanted, format!("more in {}", path.display()));
            return None;
        }
        let text = String::from_utf8(bytes).ok();
        if text.is_none() {
            self.refuse_for("text in UTF-8", format!("other bytes in {}", path.display()));
        }
        text
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.as_table().is_some()
    }

    pub(super) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.refuse("true or false");
        }
        value
    }

    /// A whole number, of any size that fits.
    pub(super) fn integer(&self) -> Option<i64> {
        let integer = self.value.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(super) fn section(&self) -> Option<Section<'d>> {
        let table = self.value.as_table();
        if table.is_none() {
            self.refuse("a table");
        }
        Some(Section {
            document: self.document,
            table: Some(table?),
            path: self.path.clone(),
            line: self.line,
            asked: RefCell::default(),
        })
    }

    pub(super) fn list(&self, wanted: &str) -> Option<Vec<Item<'d>>> {
        let Some(array) = self.value.as_array() else {
            self.refuse(wanted);
            return None;
        };
        let items = array.iter().enumerate().map(|(index, value)| Item {
            document: self.document,
            value: value.get_ref(),
            path: format!("{}[{index}]", self.path),
            line: self.document.line(value.span().start),
            secret: self.secret,
        });
        Some(items.collect())
    }

    /// The value as a fault shows it: short, on one line, and never a secret.
    fn shown(&self) -> String {
        const CHARS_MAX: usize = 60;
        match self.value {
            DeValue::String(_) if self.secret => "***".to_owned(),
            DeValue::String(text) => {
                let text = parameters::fill(text, &self.document.parameters_shown.borrow());
                if text.chars().count() <= CHARS_MAX {
                    return format!("{text:?}");
                }
                format!("{:?}…", text.chars().take(CHARS_MAX).collect::<String>())
            }
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Float(float) => float.to_string(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(datetime) => format!("the date {datetime}"),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
