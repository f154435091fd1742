//! `check`: what is wrong with one WebSocket endpoint, from here, for a person at a terminal or for a script.
//!
//! Both programs embed it, with [`Args`] as their subcommand's arguments and [`run`] behind it; a host that knows protocols
//! makes the specification speak one with [`run_with`].

mod args;
mod checklist;
mod diagnosis;
mod dialogue;
mod idle;
mod lists;
mod paper;
mod report;
mod sla;
mod span;
#[cfg(test)]
mod tests;
mod url_hint;
mod watch;
mod waterfall;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use quorate_proto::{MonitorSpec, Outcome};

pub use self::args::Args;
use self::{diagnosis::Diagnosis, paper::Paper};
use crate::{
    limits,
    probe::{Checked, Nameservers, Options, Prober, ProberError},
};

/// What ended before a check was made.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{} is larger than {} bytes", .0.display(), limits::CA_FILE_BYTES_MAX)]
    FileSize(PathBuf),
    /// The host's words.
    #[error("{0}")]
    Preset(String),
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
    run_with(args, |_| Ok(())).await
}

/// The same, where the host makes the specification speak a protocol. What the arguments say goes before what it says; an
/// error of its own is told, and the exit code is 2.
pub async fn run_with(args: Args, prepare: impl FnOnce(&mut MonitorSpec) -> Result<(), String>) -> ExitCode {
    let ending = match check(&args, prepare, &mut print).await {
        Ok(ending) => ending,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "check: {error}");
            Ending::NotTried
        }
    };
    ExitCode::from(ending as u8)
}

fn print(text: &str) {
    let mut out = anstream::stdout();
    // A reader that has gone away wants no more text.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn check(
    args: &Args,
    prepare: impl FnOnce(&mut MonitorSpec) -> Result<(), String>,
    print: &mut dyn FnMut(&str),
) -> Result<Ending, CheckError> {
    if args.insecure && args.json {
        let _ = writeln!(anstream::stderr(), "check: WARNING: {}", waterfall::UNVERIFIED);
    }
    let spec = args.spec(prepare)?;
    let options =
        Options { egress: args.egress.clone(), region: None, nameservers: Nameservers::System, proxy: None };
    let prober = Prober::new(options)?;
    let paper = Paper::of_stdout();
    if args.watch {
        return Ok(watch::watch(args, &prober, &spec, &paper, print).await);
    }
    let mut diagnosis = Diagnosis::new(args, &spec, prober.check(&spec, None).await);
    if !args.json {
        print(&waterfall::render(&diagnosis, &paper));
    }
    diagnosis.look_further(args, &prober, &spec).await;
    if !args.json {
        print(&lists::evidence(&diagnosis, &paper));
        print(&lists::conformance(&diagnosis, &paper));
    }
    if args.find_idle_timeout && diagnosis.is_upgraded() {
        diagnosis.idle = Some(idle::search(args, &prober, &spec, &paper, print).await);
    }
    if args.json {
        print(&report::json(&diagnosis));
    } else if !args.quick {
        print(&lists::checklist(&diagnosis, &paper));
    }
    Ok(ending(&diagnosis, args.strict))
}

fn ending(diagnosis: &Diagnosis, strict: bool) -> Ending {
    let ending = of(&diagnosis.checked);
    let is_too_lax = strict && ending == Ending::Passed && diagnosis.breaks_rules();
    if is_too_lax { Ending::Failed } else { ending }
}

fn of(checked: &Checked) -> Ending {
    match &checked.outcome {
        Outcome::Passed => Ending::Passed,
        Outcome::Failed(failure) if failure.kind.is_agents_own() => Ending::NotTried,
        Outcome::Failed(_) => Ending::Failed,
    }
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
