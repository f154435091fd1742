//! The demonstration: what a newcomer sees first has to work every time.

use std::process::Command;

use anyhow::Result;
use quorate_tests::{
    clock::Stopwatch,
    process::{Process, binary},
};

#[test]
fn the_demonstration_pages_every_fault_and_ends_by_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let watch = Stopwatch::start();
    let mut demo = Process::start(
        "demo",
        folder.path(),
        Command::new(binary("quorate")?).args(["demo", "--for", "90s"]),
    )?;
    quorate_tests::clock::wait_for("the page's URL", 30.0, || {
        demo.log().contains("http://127.0.0.1:").then_some(())
    });
    println!("MEASURED demo: page URL after {:.1} s", watch.seconds());
    let status = demo.wait(150.0);
    let log = demo.log();
    let table: Vec<_> = log.lines().rev().take(16).collect();
    for line in table.iter().rev() {
        println!("{line}");
    }
    assert!(status.success(), "the demonstration failed:\n{log}");
    Ok(())
}
