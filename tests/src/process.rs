//! Child processes that write to a log, can be signalled, and never outlive their test.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The path of one of our binaries, beside this test's own.
///
/// # Errors
/// Where it was not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("the test binary stands in no target folder")?;
    let path = folder.join(name);
    anyhow::ensure!(path.exists(), "{} is not built: cargo build --workspace --bins", path.display());
    Ok(path)
}

impl Process {
    /// Starts a command; both of its outputs go to `<folder>/<name>.log`, behind what is there.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Sends a signal. After SIGSTOP every thread has stopped: on a busy machine one of several would otherwise answer once
    /// more.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("signalling {}", self.name))?;
        if signal == Signal::STOP {
            clock::wait_for(format!("{} to stop", self.name), 10.0, || self.has_stopped().then_some(()));
        }
        Ok(())
    }

    /// Whether all its threads are stopped (proc(5): the state behind the name in parentheses).
    fn has_stopped(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['T', 'Z', 'X']))
        })
    }

    /// Kills it without warning and waits until it is gone.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// Where it cannot be signalled.
    ///
    /// # Panics
    /// Where it does not end within 15 s.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        Ok(self.wait(15.0))
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// Where it does not within `seconds`.
    pub fn wait(&mut self, seconds: f64) -> ExitStatus {
        let (child, name) = (&mut self.child, &self.name);
        clock::wait_for(format!("the end of {name}"), seconds, || child.try_wait().ok().flatten())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits for a line that starts with `start`, and gives the rest of it.
    ///
    /// # Panics
    /// Where it does not come within 15 s.
    pub fn line(&self, start: &str) -> String {
        clock::wait_for(format!("{} to write {start:?}", self.name), 15.0, || {
            self.log().lines().find_map(|line| line.strip_prefix(start).map(|rest| rest.trim().to_owned()))
        })
    }

    /// Its process id.
    ///
    /// # Errors
    /// Where the system gave an impossible one.
    pub fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process dies of SIGKILL as well; nothing is left to report to.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(25).collect();
            eprintln!("--- the end of {}'s log", self.name);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
