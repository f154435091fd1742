//! What `check` is told on the command line, and the specification that it makes of it.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use quorate_proto::{
    Micros, MonitorId, MonitorSpec, Step, limits as protocol,
    monitor::{Addresses, ClientCertificate, Family, Header, Proxy},
};

use super::{
    CheckError,
    dialogue::Dialogue,
    sla::Sla,
    span::{long_span, pause, short_span},
};
use crate::{egress::Egress, limits, probe::parse_proxy};

/// Find out what is wrong with a WebSocket server, from here.
///
/// Makes one check and shows how long each phase took, what was agreed on, and, where it failed, the likely cause and the
/// exact mend. Then a few extra connections find out which rules of RFC 6455 the server keeps (--quick leaves them out; none
/// of them can harm it), and a checklist says what stands for running it in earnest. Without --send and --expect-… a protocol
/// ping is sent, and its pong awaited.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, after_help = EXIT_CODES)]
pub struct Args {
    /// Where to: a ws:// or wss:// URL.
    pub(super) url: String,

    /// The deadline around the whole check, from DNS to close.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = short_span)]
    pub(super) timeout: Micros,

    #[command(flatten)]
    pub(super) dialogue: Dialogue,

    /// Make the round trip so many times on the connection: gives min, p50, max and jitter.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(protocol::SAMPLES_MAX)))]
    pub(super) samples: u16,

    /// What a round trip may take: market_data (50ms), realtime (100ms), chat (500ms), or a span such as 200ms.
    #[arg(long, value_name = "WHAT")]
    pub(super) sla: Option<Sla>,

    /// The check alone: no extra connections, no checklist.
    #[arg(long, help_heading = "How much")]
    pub(super) quick: bool,

    /// Exit with 1 also where the server breaks a rule of RFC 6455.
    #[arg(long, conflicts_with = "quick", help_heading = "How much")]
    pub(super) strict: bool,

    /// Listen so long, on a connection of its own, for whether the server sends heartbeats, and whether it notices that
    /// nobody answers them; such as 60s.
    #[arg(long, value_name = "SPAN", value_parser = long_span, help_heading = "How much")]
    pub(super) listen: Option<Micros>,

    /// Find out after how many idle seconds the path cuts a connection, and how. Takes minutes.
    #[arg(long, conflicts_with = "watch", help_heading = "How much")]
    pub(super) find_idle_timeout: bool,

    /// How far --find-idle-timeout looks.
    #[arg(long, value_name = "SPAN", default_value = "20m", value_parser = long_span, requires = "find_idle_timeout", help_heading = "How much")]
    pub(super) max: Micros,

    /// Check again and again, and draw how long it takes, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["strict", "listen"], help_heading = "How much")]
    pub(super) watch: bool,

    /// From one check of --watch to the next.
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = pause, requires = "watch", help_heading = "How much")]
    pub(super) every: Micros,

    /// End --watch after so many checks.
    #[arg(long, value_name = "N", requires = "watch", help_heading = "How much")]
    pub(super) count: Option<u64>,

    /// Add a header to the upgrade request, such as 'X-Api-Key: …'; may be repeated.
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header, help_heading = "The upgrade")]
    pub(super) header: Vec<Header>,

    /// Log in with 'Authorization: Bearer TOKEN'; @FILE reads it from a file.
    #[arg(
        long,
        value_name = "TOKEN",
        conflicts_with = "basic",
        env = "QUORATE_BEARER",
        hide_env_values = true,
        help_heading = "The upgrade"
    )]
    pub(super) bearer: Option<String>,

    /// Log in with 'Authorization: Basic …'; @FILE reads it from a file.
    #[arg(long, value_name = "USER:PASSWORD", help_heading = "The upgrade")]
    pub(super) basic: Option<String>,

    /// Offer a subprotocol; may be repeated, the most wanted first.
    #[arg(long, value_name = "NAME", help_heading = "The upgrade")]
    pub(super) subprotocol: Vec<String>,

    /// The Origin header, where the server wants one.
    #[arg(long, value_name = "URL", help_heading = "The upgrade")]
    pub(super) origin: Option<String>,

    /// Connect to this address instead of the URL's, and change nothing else: one server behind a load balancer.
    #[arg(long, value_name = "HOST:PORT", help_heading = "The way there")]
    pub(super) connect_to: Option<String>,

    /// Go through this HTTP proxy (CONNECT): USER:PASSWORD@HOST:PORT, or HOST:PORT.
    #[arg(long, env = "QUORATE_PROXY", hide_env_values = true, value_name = "HOST:PORT", value_parser = parse_proxy, help_heading = "The way there")]
    pub(super) proxy: Option<Proxy>,

    /// Check each address of the host on its own.
    #[arg(long, conflicts_with_all = ["both", "watch"], help_heading = "The way there")]
    pub(super) all_addresses: bool,

    /// Use IPv4 alone.
    #[arg(long, short = '4', conflicts_with_all = ["ipv6", "both"], help_heading = "The way there")]
    pub(super) ipv4: bool,

    /// Use IPv6 alone.
    #[arg(long, short = '6', conflicts_with = "both", help_heading = "The way there")]
    pub(super) ipv6: bool,

    /// Check one IPv4 and one IPv6 address, each on its own.
    #[arg(long, conflicts_with = "watch", help_heading = "The way there")]
    pub(super) both: bool,

    /// Which addresses may be dialled: public, private (public and private ones), or a list of networks.
    #[arg(long, value_name = "public|private|CIDR,…", default_value_t = Egress::Private, help_heading = "The way there")]
    pub(super) egress: Egress,

    /// The server name for TLS, where it is not the URL's host.
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub(super) sni: Option<String>,

    /// Trust the certificates of this PEM file besides the bundled Mozilla roots.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = "TLS")]
    pub(super) ca_file: Option<PathBuf>,

    /// Show the server this certificate (PEM, with its chain).
    #[arg(long, value_name = "FILE", requires = "client_key", help_heading = "TLS")]
    pub(super) client_cert: Option<PathBuf>,

    /// The private key of --client-cert (PEM).
    #[arg(long, value_name = "FILE", requires = "client_cert", help_heading = "TLS")]
    pub(super) client_key: Option<PathBuf>,

    /// Take any certificate. Anyone on the way can then answer in the server's place.
    #[arg(long, help_heading = "TLS")]
    pub(super) insecure: bool,

    /// Print one JSON object; with --watch, one a line for each check.
    #[arg(long)]
    pub(super) json: bool,
}

const EXIT_CODES: &str = "Exit code: 0 passed, 1 failed, 2 could not be tried.";

const EXAMPLES: &str = "\
Examples:
  What is wrong with it?
    quorate check wss://echo.example.org/

  Does the application answer, and how fast?
    quorate check wss://chat.example.org/ws --samples 20 --sla chat \\
        --send '{\"type\":\"ping\",\"id\":\"{{nonce}}\"}' --expect-json '/id={{nonce}}'

  GraphQL over WebSocket, with a login:
    quorate check wss://api.example.org/graphql --subprotocol graphql-transport-ws \\
        --bearer @token --send-json '{\"type\":\"connection_init\"}' --expect-json /type=connection_ack

  One server behind the load balancer, or one before it is in DNS:
    quorate check wss://chat.example.org/ws --connect-to 10.0.0.7:443

  After how long is an idle connection cut?
    quorate check wss://chat.example.org/ws --find-idle-timeout --max 10m

  How does it do over the next minutes?
    quorate check wss://chat.example.org/ws --watch --every 2s

  In a script:
    quorate check wss://chat.example.org/ws --json | jq .timings_ms.upgrade

Exit code: 0 passed, 1 failed, 2 could not be tried (a wrong URL, an address
that --egress does not allow, trouble of this host's own). With --strict a
broken rule of RFC 6455 is a failure, too.";

impl Args {
    /// The monitor that these arguments describe. `prepare` may make it speak a protocol; what the arguments say goes before
    /// what it says.
    pub(super) fn spec(
        &self,
        prepare: impl FnOnce(&mut MonitorSpec) -> Result<(), String>,
    ) -> Result<MonitorSpec, CheckError> {
        let interval = self.timeout.max(protocol::INTERVAL_MIN);
        let mut spec = MonitorSpec {
            samples: self.samples,
            headers: self.headers()?,
            origin: self.origin.clone(),
            sni: self.sni.clone(),
            connect_to: self.connect_to.clone(),
            ca_pem: self.ca_file.as_deref().map(pem).transpose()?,
            client_certificate: self.client_certificate()?,
            proxy: self.proxy.clone(),
            verify_tls: !self.insecure,
            addresses: if self.all_addresses { Addresses::All } else { Addresses::First },
            family: match (self.ipv4, self.ipv6, self.both) {
                (true, ..) => Family::V4,
                (_, true, _) => Family::V6,
                (.., true) => Family::Both,
                (false, false, false) => Family::Any,
            },
            ..MonitorSpec::new(id(), &self.url, interval, self.timeout)
        };
        prepare(&mut spec).map_err(CheckError::Preset)?;
        if let Some(steps) = self.dialogue.steps() {
            spec.steps = steps;
        }
        if !self.subprotocol.is_empty() {
            spec.subprotocols.clone_from(&self.subprotocol);
        }
        if self.samples > 1 {
            spec.samples = self.samples;
        }
        Ok(spec)
    }

    fn headers(&self) -> Result<Vec<Header>, CheckError> {
        let mut headers = self.header.clone();
        let authorization = |value: String| Header { name: "Authorization".to_owned(), value };
        if let Some(token) = &self.bearer {
            headers.push(authorization(format!("Bearer {}", secret(token)?)));
        }
        if let Some(pair) = &self.basic {
            headers.push(authorization(format!("Basic {}", BASE64.encode(secret(pair)?.as_bytes()))));
        }
        Ok(headers)
    }

    fn client_certificate(&self) -> Result<Option<ClientCertificate>, CheckError> {
        let (Some(chain), Some(key)) = (&self.client_cert, &self.client_key) else { return Ok(None) };
        Ok(Some(ClientCertificate { chain_pem: pem(chain)?, key_pem: pem(key)? }))
    }
}

/// A first text that may be sent to the application, with its placeholders filled; none where something else fills them.
pub(super) fn first_text(spec: &MonitorSpec, nonce: &str, now_ms: i64) -> Option<String> {
    if !spec.hello.is_empty() {
        // What is said first is a login, and the text wants one.
        return None;
    }
    let text = spec.steps.iter().find_map(|step| match step {
        Step::Send(quorate_proto::Payload::Text(text)) => Some(text),
        Step::Send(quorate_proto::Payload::Binary(_))
        | Step::Expect(_)
        | Step::Stream(_)
        | Step::Ping { .. } => None,
    })?;
    let text = text.replace("{{nonce}}", nonce).replace("{{now_ms}}", &now_ms.to_string());
    let text = text.replace("{{count}}", "1");
    (!text.contains("{{")).then_some(text)
}

/// A name for a monitor that has none.
fn id() -> MonitorId {
    #[expect(clippy::expect_used, reason = "a constant; a test parses it")]
    "check".parse().expect("a name")
}

/// A secret, or the file that it stands in.
fn secret(text: &str) -> Result<String, CheckError> {
    match text.strip_prefix('@') {
        None => Ok(text.to_owned()),
        Some(path) => Ok(pem(Path::new(path))?.trim().to_owned()),
    }
}

/// A small file.
fn pem(path: &Path) -> Result<String, CheckError> {
    let failed = |error| CheckError::File { path: path.to_owned(), error };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(limits::CA_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > limits::CA_FILE_BYTES_MAX {
        return Err(CheckError::FileSize(path.to_owned()));
    }
    Ok(text)
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("wanted NAME: VALUE")?;
    Ok(Header { name: name.trim().to_owned(), value: value.trim().to_owned() })
}
