//! The command line, as a new user meets it.

use std::{fs, process::Command};

use anyhow::Result;
use quorate_tests::{
    process::binary,
    requirement::{Requirement, available},
    servers,
};

fn run(program: &str, arguments: &[&str], folder: &std::path::Path) -> Result<(Option<i32>, String, String)> {
    let output = Command::new(binary(program)?).args(arguments).current_dir(folder).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn the_starter_configuration_is_valid_and_never_overwritten() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, _, error) = run("quorate", &["init"], folder.path())?;
    assert_eq!(code, Some(0), "{error}");
    let starter = fs::read_to_string(folder.path().join("quorate.toml"))?;
    assert!(starter.lines().filter(|line| line.starts_with('#')).count() > 10, "it is commented");
    let (code, output, error) = run("quorate", &["config", "check", "quorate.toml"], folder.path())?;
    assert_eq!(code, Some(0), "{output}{error}");
    let (code, _, error) = run("quorate", &["init"], folder.path())?;
    assert_ne!(code, Some(0));
    assert!(error.contains("quorate.toml"), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("quorate.toml"))?, starter);
    Ok(())
}

#[test]
fn every_fault_of_a_configuration_is_named_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(
        folder.path().join("bad.toml"),
        "regions = [\"a\", \"b\"]\ncolour = 1\n\
         [[monitors]]\nid = \"one\"\nurl = \"https://example.org/\"\n\
         [[monitors]]\nid = \"one\"\nurl = \"wss://example.org/\"\ninterval = \"5s\"\ntimeout = \"9s\"\n\
         [[monitors]]\nid = \"three\"\nurl = \"wss://example.org/\"\nregions = [\"c\"]\nquorum = 7\n",
    )?;
    let (code, output, error) = run("quorate", &["config", "check", "bad.toml"], folder.path())?;
    let said = output + &error;
    assert_eq!(code, Some(1), "{said}");
    for part in
        ["bad.toml:2", "colour", "bad.toml:5", "wss", "bad.toml:7", "one", "timeout", "bad.toml:14", "\"c\""]
    {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    Ok(())
}

#[test]
fn a_check_says_what_happened_and_exits_by_it() -> Result<()> {
    if !available("a_check_says_what_happened", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let mut server = servers::node_ws(folder.path(), port)?;
    let url = format!("ws://127.0.0.1:{port}/");
    for program in ["quorate", "quorate-agent"] {
        let (code, output, error) = run(program, &["check", &url], folder.path())?;
        assert_eq!(code, Some(0), "{program}: {output}{error}");
        assert!(output.contains("TCP") && output.to_lowercase().contains("upgrade"), "a waterfall: {output}");
        assert!(!output.contains('\u{1b}'), "no colours in a pipe");
        let (code, output, error) = run(program, &["check", "--json", &url], folder.path())?;
        assert_eq!(code, Some(0), "{program}: {error}");
        let _: serde_json::Value = serde_json::from_str(&output)?;
    }
    server.kill()?;
    let (code, output, error) = run("quorate", &["check", &url], folder.path())?;
    assert_eq!(code, Some(1), "{output}{error}");
    assert!(output.contains("refused"), "{output}");
    let (code, output, error) = run("quorate", &["check", "http://example.org/"], folder.path())?;
    assert_eq!(code, Some(2), "{output}{error}");
    assert!(output.contains("ws://"), "{output}");
    Ok(())
}
