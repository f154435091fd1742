//! An outage, explained, exported, verified; and a file of which something was altered, refused.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result};
use quorate_tests::{
    clock,
    cluster::REGIONS,
    http,
    process::binary,
    requirement::{Requirement, available},
    watched::Watched,
};
use serde_json::Value;

/// Runs `quorate verify`; gives its exit code and what it says.
fn verify(file: &Path, arguments: &[&str]) -> Result<(i32, String)> {
    let Output { status, stdout, stderr } =
        Command::new(binary("quorate")?).arg("verify").arg(file).args(arguments).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Ok((status.code().context("no exit code")?, text))
}

#[test]
fn an_outage_is_explained_and_its_evidence_holds_until_a_byte_is_changed() -> Result<()> {
    if !available("an_outage_is_explained", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let mut scene = Watched::start("10s", "5s")?;
    scene.server.kill()?;
    scene.receiver.incident("incident.opened", "chat", 30.0);
    scene.mend()?;
    let resolved = scene.receiver.incident("incident.resolved", "chat", 60.0);
    let id = resolved.incident("/id").as_str().context("no id")?.to_owned();
    // The delivery is written down after it was made.
    let sent = || {
        let explanation = scene.cluster.quorate(&["explain", "last"]).ok()?;
        explanation.contains("page was taken").then_some(explanation)
    };
    let text = clock::wait_for("the page to be known", 10.0, sent);
    println!("{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in
        ["chat was down for", "Who saw what", "connection_refused", "4 had to fail for 11s", "page sent"]
    {
        assert!(flat.contains(wanted), "{wanted:?} is missing");
    }
    for region in REGIONS {
        assert!(
            text.lines().any(|line| line.starts_with(region) && line.contains('✗')),
            "{region} is not drawn"
        );
    }
    assert_eq!(scene.cluster.quorate(&["explain", "chat"])?, text);
    let short = id.get(..16).context("a short id")?;
    let ascii = scene.cluster.quorate(&["explain", short, "--ascii"])?;
    assert_eq!(ascii, scene.cluster.quorate(&["explain", &id, "--ascii"])?);
    assert!(!ascii.contains(['✗', '·', '═']), "{ascii}");
    let data = scene.cluster.data.to_string_lossy().into_owned();
    let by_folder = scene.cluster.quorate(&["explain", &id, "--data", &data, "--json"])?;
    let by_folder: Value = serde_json::from_str(&by_folder)?;
    assert_eq!(by_folder["decisions"].as_array().map(Vec::len), Some(2));
    assert!(scene.cluster.quorate(&["explain", "nobody"]).is_err());
    let page = http::get(scene.cluster.http, &format!("/incidents/{id}"), None)?;
    assert!(page.status == 200 && page.body.contains("<svg class=\"timeline\""), "{}", page.body);

    let pinned = scene.cluster.folder().join("keys.txt");
    fs::write(&pinned, scene.cluster.quorate(&["export", "--keys"])?)?;
    let pinned = pinned.to_string_lossy().into_owned();
    let evidence = scene.cluster.folder().join("evidence.json");
    for source in [vec!["export", "last"], vec!["export", &id, "--data", &data]] {
        fs::write(&evidence, scene.cluster.quorate(&source)?)?;
        let (code, text) = verify(&evidence, &["--keys", &pinned])?;
        println!("{text}");
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("proven   up -> down") && text.contains("proven   down -> up"), "{text}");
        assert!(!text.contains("pinned"), "every key was: {text}");
    }

    let exported = fs::read(&evidence)?;
    println!("MEASURED an outage in five regions: {} bytes of evidence", exported.len());
    assert!(verify(&evidence, &[])?.1.contains("only checked against the keys in the file itself"));
    let stranger = ["--agent-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"];
    assert_eq!(verify(&evidence, &stranger)?.0, 1);
    for index in (0..exported.len()).step_by(exported.len() / 40) {
        let mut altered = exported.clone();
        altered[index] ^= 1;
        fs::write(&evidence, &altered)?;
        let (code, text) = verify(&evidence, &["--keys", &pinned])?;
        assert_eq!(code, 1, "byte {index}: {text}");
        assert!(text.contains("REFUSED  line ") || text.contains("REFUSED  seal"), "byte {index}: {text}");
    }
    Ok(())
}
