//! The probe's own WebSocket stack against the Autobahn cases: an echo client on the same transport, upgrade, framing and
//! library, set up as for a check.
//!
//! PyPI's `kosoku` runs the cases. Those whose messages are larger than a check takes are run a second time with a larger
//! bound, so that the bound is all that is between them and a check.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::{FutureExt, SinkExt, StreamExt};
use quorate_proto::FailureKind;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, protocol::CloseFrame},
};

use super::{
    super::{classify, dial, frames, plan::Plan, progress::Progress, transport::Transport, upgrade},
    spec,
};
use crate::egress::Egress;

/// Every case but those of compression (12 and 13), which the probe never asks for.
const BASE: [&str; 9] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"];

/// The bound on one case.
const CASE_WITHIN: Duration = Duration::from_secs(60);

/// The bound on all of them.
const ALL_WITHIN: Duration = Duration::from_secs(300);

/// What the largest cases need: messages of 16 MiB, and 4 MiB in fragments of 64 bytes.
const LARGE: frames::Bounds =
    frames::Bounds { message_bytes_max: 17 << 20, fragments_max: 1 << 17, write_bytes_max: 40 << 20 };

/// What Autobahn found in one case.
#[derive(Debug, serde::Deserialize)]
struct Found {
    case: String,
    index: usize,
    behavior: String,
    close: String,
    why: String,
}

/// The fuzzing server.
struct Autobahn {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    port: u16,
}

#[tokio::test]
async fn every_base_case_of_autobahn_passes() {
    let Some(python) = python() else { return };
    timeout(ALL_WITHIN, run(&python)).await.unwrap();
}

async fn run(python: &Path) {
    let cases: Vec<_> = BASE.map(str::to_owned).into();
    let (usual, too_large) = drive(python, &cases, frames::Bounds::default()).await;
    let beyond: BTreeSet<_> =
        too_large.iter().filter_map(|index| usual.get(index)).map(|found| &found.case).collect();
    let of_size = |case: &str| case.starts_with("9.") || case == "7.1.6";
    assert!(beyond.iter().all(|case| of_size(case)), "not only cases of size are too large: {beyond:?}");
    let again: Vec<_> = beyond.iter().map(|case| (*case).clone()).collect();
    let (large, too_large) = drive(python, &again, LARGE).await;
    assert!(too_large.is_empty(), "beyond the larger bound too");
    assert_eq!(large.len(), again.len());

    let within = usual.values().filter(|found| !beyond.contains(&found.case));
    let judged: Vec<_> = within.chain(large.values()).collect();
    let named = |wanted: fn(&Found) -> bool| {
        let cases: Vec<_> =
            judged.iter().filter(|found| wanted(found)).map(|found| found.case.as_str()).collect();
        format!("{} ({})", cases.len(), cases.join(" "))
    };
    let failed = |found: &Found| {
        let is_fine = ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&found.behavior.as_str());
        !is_fine || !["OK", "INFORMATIONAL"].contains(&found.close.as_str())
    };
    let report = format!(
        "Autobahn: {} cases, {} OK\n  NON-STRICT: {}\n  INFORMATIONAL: {}\n  failed: {}\n  \
         above what a check takes, and passed with a larger bound: {}\n",
        judged.len(),
        judged.iter().filter(|found| found.behavior == "OK").count(),
        named(|found| found.behavior == "NON-STRICT"),
        named(|found| found.behavior == "INFORMATIONAL"),
        named(failed),
        again.join(" "),
    );
    // Past the test's captured output: which cases are not strict is what one wants to see.
    std::io::stderr().write_all(report.as_bytes()).unwrap();
    assert_eq!(judged.len(), usual.len());
    assert!(judged.len() > 290, "only {} cases", judged.len());
    let faults = judged.iter().filter(|found| failed(found));
    let faults: Vec<_> = faults.map(|Found { case, why, .. }| format!("{case}: {why}")).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Runs cases, one connection each. Gives what Autobahn found, and the indices of those that our bounds ended.
async fn drive(
    python: &Path,
    cases: &[String],
    bounds: frames::Bounds,
) -> (BTreeMap<usize, Found>, Vec<usize>) {
    let mut autobahn = Autobahn::start(python, cases);
    let mut count = autobahn.open("getCaseCount", bounds).await;
    let count: usize = match count.next().await {
        Some(Ok(Message::Text(text))) => text.parse().unwrap(),
        other => panic!("no count of cases: {other:?}"),
    };
    let mut too_large = Vec::new();
    for index in 1..=count {
        let path = format!("runCase?case={index}&agent=quorate");
        let mut stream = autobahn.open(&path, bounds).await;
        let error = timeout(CASE_WITHIN, echo(&mut stream))
            .await
            .unwrap_or_else(|_| panic!("case {index} has no end"));
        if classify::websocket(&error).0 == FailureKind::TooLarge {
            too_large.push(index);
        }
    }
    let mut over = autobahn.open("updateReports?agent=quorate", bounds).await;
    // It ends the server, whichever way.
    let _ = timeout(CASE_WITHIN, over.next()).await;
    (autobahn.results(), too_large)
}

/// Sends every message back until the connection ends, and parts as a check does.
async fn echo(stream: &mut WebSocketStream<Transport>) -> tungstenite::Error {
    loop {
        let error = match stream.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => match stream.send(message).await {
                Ok(()) => continue,
                Err(error) => error,
            },
            Some(Ok(_)) => continue,
            Some(Err(error)) => error,
            None => return tungstenite::Error::ConnectionClosed,
        };
        let farewell = CloseFrame { code: classify::close_code(&error), reason: "".into() };
        let _ = stream.send(Message::Close(Some(farewell))).now_or_never();
        return error;
    }
}

impl Autobahn {
    fn start(python: &Path, cases: &[String]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/servers/autobahn.py");
        let mut process =
            Command::new(python).arg(script).args(cases).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = said["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
        Self { process, output, port }
    }

    /// Connects as a check does, up to the frames.
    async fn open(&self, path: &str, bounds: frames::Bounds) -> WebSocketStream<Transport> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let plan = Plan::new(&spec(&format!("ws://{address}/{path}")), None).unwrap();
        let mut progress = Progress::new();
        let tcp = dial::connect(&Egress::Private, vec![address], &mut progress).await.unwrap();
        let mut transport = Transport::plain(tcp);
        let first = upgrade::upgrade(&mut transport, &plan, &mut progress).await.unwrap();
        frames::open(transport, first, bounds).await
    }

    fn results(&mut self) -> BTreeMap<usize, Found> {
        let lines = self.output.by_ref().lines().map_while(Result::ok);
        let found = lines.map(|line| serde_json::from_str::<Found>(&line).unwrap());
        found.map(|found| (found.index, found)).collect()
    }
}

impl Drop for Autobahn {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The Python that has `kosoku`. Where there is none, that is said; with `QUORATE_REQUIRE_SERVERS=1` it is a failure.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("QUORATE_TEST_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/.cache"), PathBuf::from);
    let python = cache.join("venv/bin/python");
    let imports = Command::new(&python).args(["-c", "import kosoku"]).output();
    if imports.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("QUORATE_REQUIRE_SERVERS").is_none(), "PyPI's kosoku is not there");
    let words = b"SKIPPED every_base_case_of_autobahn_passes: this machine lacks PyPI's kosoku (./tests/run install)\n";
    std::io::stderr().write_all(words).unwrap();
    None
}
