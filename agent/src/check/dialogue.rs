//! What is said and expected, in the order in which it stands on the command line.

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use quorate_proto::{
    Matcher, Payload, Step,
    step::{Condition, JsonTest},
};

/// Steps from the command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialogue {
    said: Vec<Step>,
    ping: bool,
    upgrade_only: bool,
}

/// A flag whose order counts: its name, its value, the step that a value is, and its help.
type Flag = (&'static str, &'static str, fn(&str) -> Result<Step, String>, &'static str);

/// All of them.
const FLAGS: [Flag; 8] = [
    (
        "send",
        "TEXT",
        |text| Ok(Step::send(text)),
        "Send this text. Flags that send and expect are taken in the order in which they stand. {{nonce}} becomes a random \
         token and {{now_ms}} the milliseconds since 1970, here and in what is expected",
    ),
    ("send-json", "JSON", json, "Send this text, which must be JSON"),
    (
        "send-hex",
        "HEX",
        |text| binary(HEXLOWER_PERMISSIVE.decode(text.as_bytes()), "hex, such as 0a1b2c"),
        "Send these bytes as a binary message",
    ),
    (
        "send-base64",
        "BASE64",
        |text| binary(BASE64.decode(text.as_bytes()), "base64, such as AAEC"),
        "Send these bytes as a binary message",
    ),
    (
        "expect-json",
        "POINTER[=VALUE]",
        |text| json_test(text).map(|matcher| Step::expect(matcher, None)),
        "Wait for a JSON message whose value at a JSON pointer is this, such as /type=pong or /ok=true; without a value: is there",
    ),
    (
        "expect-contains",
        "TEXT",
        |text| Ok(Step::expect(Matcher::contains(text), None)),
        "Wait for a message that contains this text",
    ),
    (
        "expect-regex",
        "REGEX",
        |text| Ok(Step::expect(Matcher::regex(text), None)),
        "Wait for a message that matches this regular expression",
    ),
    ("expect-hex", "HEX", prefix, "Wait for a message that begins with these bytes"),
];

impl Dialogue {
    /// All steps; none where the command line says nothing of them.
    pub(super) fn steps(&self) -> Option<Vec<Step>> {
        let mut steps = self.said.clone();
        // What is sent wants an answer: any, where none is described.
        let expects = steps.iter().any(|step| matches!(step, Step::Expect(_)));
        if !steps.is_empty() && !expects {
            steps.push(Step::expect(Matcher::ANY, None));
        }
        if self.ping {
            steps.push(Step::Ping { within: None });
        }
        (!steps.is_empty() || self.upgrade_only).then_some(steps)
    }
}

impl clap::Args for Dialogue {
    fn augment_args(command: Command) -> Command {
        let ordered = FLAGS.map(|(name, value, _, help)| {
            let flag = Arg::new(name).long(name).help(help).help_heading("What is said and expected");
            flag.value_name(value).action(ArgAction::Append).allow_hyphen_values(true)
        });
        let sends: Vec<_> = FLAGS.iter().map(|(name, ..)| *name).collect();
        let ping = Arg::new("ping").long("ping").action(ArgAction::SetTrue).conflicts_with("upgrade-only");
        let ping = ping.help("Send a protocol ping, too, and wait for its pong");
        let upgrade_only = Arg::new("upgrade-only")
            .long("upgrade-only")
            .action(ArgAction::SetTrue)
            .conflicts_with_all(sends);
        let upgrade_only = upgrade_only.help("Check the upgrade alone: for servers that do not answer pings");
        let others = [ping, upgrade_only].map(|flag| flag.help_heading("What is said and expected"));
        command.args(ordered).args(others)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Dialogue {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut said = Vec::new();
        for (name, _, step, _) in FLAGS {
            let indices = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_many::<String>(name).into_iter().flatten();
            for (text, index) in values.zip(indices) {
                let step = step(text).map_err(|why| {
                    clap::Error::raw(
                        ErrorKind::ValueValidation,
                        format!("invalid value '{text}' for '--{name}': {why}\n"),
                    )
                })?;
                said.push((index, step));
            }
        }
        said.sort_by_key(|(index, _)| *index);
        Ok(Self {
            said: said.into_iter().map(|(_, step)| step).collect(),
            ping: matches.get_flag("ping"),
            upgrade_only: matches.get_flag("upgrade-only"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn json(text: &str) -> Result<Step, String> {
    // Placeholders stand within strings or for numbers: neither is JSON before it is filled.
    let sample = quorate_proto::template::sample(text);
    match serde_json::from_str::<serde_json::Value>(&sample) {
        Ok(_) => Ok(Step::send(text)),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

fn binary(bytes: Result<Vec<u8>, data_encoding::DecodeError>, wanted: &str) -> Result<Step, String> {
    bytes.map(|bytes| Step::Send(Payload::Binary(bytes))).map_err(|_| format!("wanted {wanted}"))
}

fn prefix(text: &str) -> Result<Step, String> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| "wanted hex, such as 0a1b2c")?;
    Ok(Step::expect(Matcher::of(Condition::Prefix(bytes)), None))
}

/// `POINTER=VALUE`; a value that is not JSON is a text, so that `/type=pong` needs no quotes within quotes.
fn json_test(text: &str) -> Result<Matcher, String> {
    if !(text.is_empty() || text.starts_with('/') || text.starts_with('=')) {
        return Err("wanted POINTER=VALUE, such as /type=pong".to_owned());
    }
    let Some((pointer, value)) = text.split_once('=') else {
        return Ok(Matcher::of(Condition::Json { pointer: text.to_owned(), test: JsonTest::Present }));
    };
    let value = match serde_json::from_str::<serde_json::Value>(value) {
        Ok(_) => value.to_owned(),
        Err(_) => serde_json::Value::from(value).to_string(),
    };
    Ok(Matcher::json_equals(pointer, value))
}
