//! User instructions per check, counted by valgrind: the same on a machine that is busy, slow, or both.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use quorate_tests::requirement;

use super::{
    client::{Kind, Scheme, Target},
    compare,
    echo::Echo,
    heading, words,
};

/// Two runs differ by this many checks, so that what a start costs falls out.
const FEW: usize = 20;
const MANY: usize = 120;

/// Prints the comparison.
pub(super) fn print() -> Result<()> {
    heading("User instructions per check (callgrind; thousands)", "probe");
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("  not counted: valgrind is not installed");
        return Ok(());
    }
    let echo = Echo::start()?;
    for (name, scheme) in [("ws://", Scheme::Ws), ("wss://, full handshake", Scheme::Wss)] {
        let bare = thousands(Kind::Bare, scheme, &echo.target)?;
        let ours = thousands(Kind::Ours, scheme, &echo.target)?;
        compare(name, "k", bare, ours, "1.25 x");
    }
    Ok(())
}

fn thousands(kind: Kind, scheme: Scheme, target: &Target) -> Result<f64> {
    let few = counted(kind, scheme, FEW, target)?;
    let many = counted(kind, scheme, MANY, target)?;
    Ok((many - few) / (MANY - FEW) as f64 / 1e3)
}

/// Instructions of a whole process.
fn counted(kind: Kind, scheme: Scheme, checks: usize, target: &Target) -> Result<f64> {
    let (checks, target) = (checks.to_string(), target.to_string());
    let folder = requirement::cache().join("callgrind");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{}-{}-{checks}", kind.word(), scheme.word()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--error-exitcode=9"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(words("visit", kind, scheme, &checks, &target))
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind: {text}");
    let collected = text.lines().find_map(|line| line.split_once("Collected :")).context("no count")?.1;
    Ok(collected.trim().parse()?)
}
