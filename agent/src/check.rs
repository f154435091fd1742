//! `check`: one diagnosis of one WebSocket endpoint, from here, for a person at a terminal or for a script.
//!
//! Both programs embed it, with [`Args`] as their subcommand's arguments and [`run`] behind it.

mod report;
mod waterfall;

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use quorate_proto::{
    Matcher, Micros, MonitorId, MonitorSpec, Outcome, Step, limits as protocol, monitor::Header,
};

use crate::{
    egress::Egress,
    limits,
    probe::{Nameservers, Options, Prober, ProberError},
};

/// Check one WebSocket server from here, once.
///
/// Shows how long each phase took (DNS, TCP, TLS, upgrade, exchange, close) and, where the check failed, the likely cause and
/// what to do about it. Without --send and --expect-… a protocol ping is sent, and its pong awaited.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, after_help = EXIT_CODES)]
pub struct Args {
    /// Where to: a ws:// or wss:// URL.
    url: String,

    /// The deadline around the whole check, from DNS to close.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    timeout: Micros,

    /// Send this text once the connection is open; may be repeated. {{nonce}} becomes a random token and {{now_ms}} the
    /// milliseconds since 1970, here and in what is expected.
    #[arg(long, value_name = "TEXT")]
    send: Vec<String>,

    /// Wait for a JSON message whose value at a JSON pointer is this, such as /type=pong or /ok=true.
    #[arg(long, value_name = "POINTER=VALUE", value_parser = json_equals)]
    expect_json: Vec<Matcher>,

    /// Wait for a message that contains this text.
    #[arg(long, value_name = "TEXT")]
    expect_contains: Vec<String>,

    /// Wait for a message that matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    expect_regex: Vec<String>,

    /// Send a protocol ping, too, and wait for its pong.
    #[arg(long, conflicts_with = "upgrade_only")]
    ping: bool,

    /// Check the upgrade alone: for servers that do not answer pings, as those of socket.io.
    #[arg(long, conflicts_with_all = ["send", "expect_json", "expect_contains", "expect_regex"])]
    upgrade_only: bool,

    /// Add a header to the upgrade request, such as 'Authorization: Bearer …'; may be repeated.
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<Header>,

    /// Offer a subprotocol; may be repeated, the most wanted first.
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,

    /// The Origin header, where the server wants one.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,

    /// The server name for TLS, where it is not the URL's host.
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,

    /// Connect to this address instead of the URL's, and change nothing else: one server behind a load balancer.
    #[arg(long, value_name = "HOST:PORT")]
    connect_to: Option<String>,

    /// Trust the certificates of this PEM file besides the bundled Mozilla roots.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca_file: Option<PathBuf>,

    /// Take any certificate. Anyone on the way can then answer in the server's place.
    #[arg(long)]
    insecure: bool,

    /// Which addresses may be dialled: public, private (public and private ones), or a list of networks.
    #[arg(long, value_name = "public|private|CIDR,…", default_value_t = Egress::Private)]
    egress: Egress,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit code: 0 passed, 1 failed, 2 could not be tried.";

const EXAMPLES: &str = "\
Examples:
  Does it upgrade, and answer a ping?
    quorate check wss://echo.example.org/

  Does the application answer?
    quorate check wss://chat.example.org/ws \\
        --send '{\"type\":\"ping\",\"id\":\"{{nonce}}\"}' --expect-json '/id={{nonce}}'

  GraphQL over WebSocket, with a login:
    quorate check wss://api.example.org/graphql --subprotocol graphql-transport-ws \\
        -H 'Authorization: Bearer …' \\
        --send '{\"type\":\"connection_init\"}' --expect-json /type=connection_ack

  One server behind the load balancer, or one before it is in DNS:
    quorate check wss://chat.example.org/ws --connect-to 10.0.0.7:443

  In a script:
    quorate check wss://chat.example.org/ws --json | jq .timings_ms.upgrade

Exit code: 0 passed, 1 failed, 2 could not be tried (a wrong URL, an address
that --egress does not allow, trouble of this host's own).";

/// What ended before a check was made.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("{}: {error}", path.display())]
    CaFile { path: PathBuf, error: std::io::Error },
    #[error("{} is larger than {} bytes", .0.display(), limits::CA_FILE_BYTES_MAX)]
    CaFileSize(PathBuf),
    #[error(transparent)]
    Prober(#[from] ProberError),
}

/// How it ended: the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Passed = 0,
    Failed = 1,
    NotTried = 2,
}

/// Makes the check, prints what it found, and gives the exit code: 0 passed, 1 failed, 2 could not be tried.
pub async fn run(args: Args) -> ExitCode {
    let ending = match check(&args).await {
        Ok((ending, text)) => {
            // A reader that has gone away wants no more text.
            let _ = anstream::stdout().write_all(text.as_bytes());
            ending
        }
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "check: {error}");
            Ending::NotTried
        }
    };
    ExitCode::from(ending as u8)
}

async fn check(args: &Args) -> Result<(Ending, String), CheckError> {
    if args.insecure && args.json {
        let _ = writeln!(anstream::stderr(), "check: WARNING: {}", waterfall::UNVERIFIED);
    }
    let spec = args.spec()?;
    let options =
        Options { egress: args.egress.clone(), region: None, nameservers: Nameservers::System, proxy: None };
    let checked = Prober::new(options)?.check(&spec, None).await;
    let ending = match &checked.outcome {
        Outcome::Passed => Ending::Passed,
        Outcome::Failed(failure) if failure.kind.is_agents_own() => Ending::NotTried,
        Outcome::Failed(_) => Ending::Failed,
    };
    let url = shown(&spec.url);
    let text = if args.json { report::json(&url, &checked) } else { waterfall::render(&url, &checked) };
    Ok((ending, text))
}

impl Args {
    fn spec(&self) -> Result<MonitorSpec, CheckError> {
        let interval = self.timeout.max(protocol::INTERVAL_MIN);
        Ok(MonitorSpec {
            steps: self.steps(),
            headers: self.header.clone(),
            subprotocols: self.subprotocol.clone(),
            origin: self.origin.clone(),
            sni: self.sni.clone(),
            connect_to: self.connect_to.clone(),
            ca_pem: self.ca_file.as_deref().map(ca_pem).transpose()?,
            verify_tls: !self.insecure,
            ..MonitorSpec::new(id(), &self.url, interval, self.timeout)
        })
    }

    /// Everything is sent first, then everything that is expected is awaited. What is sent wants an answer: any, where none is
    /// described.
    fn steps(&self) -> Vec<Step> {
        let contains = self.expect_contains.iter().cloned().map(Matcher::contains);
        let regex = self.expect_regex.iter().cloned().map(Matcher::regex);
        let mut expected: Vec<_> = self.expect_json.iter().cloned().chain(contains).chain(regex).collect();
        if expected.is_empty() && !self.send.is_empty() {
            expected.push(Matcher::ANY);
        }
        let sends = self.send.iter().map(|text| Step::send(text));
        let expects = expected.into_iter().map(|matcher| Step::expect(matcher, None));
        let mut steps: Vec<_> = sends.chain(expects).collect();
        if self.ping || (steps.is_empty() && !self.upgrade_only) {
            steps.push(Step::Ping { within: None });
        }
        steps
    }
}

/// A name for a monitor that has none.
fn id() -> MonitorId {
    #[expect(clippy::expect_used, reason = "a constant; a test parses it")]
    "check".parse().expect("a name")
}

fn ca_pem(path: &Path) -> Result<String, CheckError> {
    let failed = |error| CheckError::CaFile { path: path.to_owned(), error };
    let mut pem = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(limits::CA_FILE_BYTES_MAX + 1).read_to_string(&mut pem).map_err(failed)?;
    if pem.len() as u64 > limits::CA_FILE_BYTES_MAX {
        return Err(CheckError::CaFileSize(path.to_owned()));
    }
    Ok(pem)
}

/// The URL as it may stand on a screen: without a password.
fn shown(url: &str) -> String {
    match url.parse::<url::Url>() {
        Ok(mut parsed) if parsed.password().is_some() => {
            let _ = parsed.set_password(Some("***"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

fn span(text: &str) -> Result<Micros, String> {
    let wanted = || {
        format!(
            "wanted a span from {} to {}, such as 500ms or 10s",
            protocol::TIMEOUT_MIN,
            protocol::TIMEOUT_MAX
        )
    };
    let span: jiff::SignedDuration = text.parse().map_err(|_| wanted())?;
    let span = Micros(u64::try_from(span.as_micros()).map_err(|_| wanted())?);
    (protocol::TIMEOUT_MIN..=protocol::TIMEOUT_MAX).contains(&span).then_some(span).ok_or_else(wanted)
}

/// `POINTER=VALUE`; a value that is not JSON is a text, so that `/type=pong` needs no quotes within quotes.
fn json_equals(text: &str) -> Result<Matcher, String> {
    let (pointer, value) = text.split_once('=').ok_or("wanted POINTER=VALUE, such as /type=pong")?;
    let value = match serde_json::from_str::<serde_json::Value>(value) {
        Ok(_) => value.to_owned(),
        Err(_) => serde_json::Value::from(value).to_string(),
    };
    Ok(Matcher::json_equals(pointer, value))
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("wanted NAME: VALUE")?;
    Ok(Header { name: name.trim().to_owned(), value: value.trim().to_owned() })
}

#[cfg(test)]
mod tests;
