//! Takes up a changed configuration, and only a good one.
//!
//! The files are read every two seconds and compared by content: editors, configuration managers and Kubernetes each
//! replace files in their own way, and all of them change what is read. SIGHUP asks for it at once. A configuration with
//! faults is not taken; all of them are logged, once, and the one in force stays.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use quorate_proto::Digest;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Environment, Fault, Loaded, Page, read_bounded},
    model::Intake,
};

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_secs(2);

/// Watches the files of a configuration until cancelled, and hands every good new one that differs from the one in
/// force to the core and to the page. What wants a restart is kept as it was, and said.
pub(super) async fn watch(
    path: PathBuf,
    mut in_force: Arc<Config>,
    intake: mpsc::Sender<Intake>,
    page: Arc<ArcSwap<Page>>,
    cancel: CancellationToken,
) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    let mut sources = Sources::default();
    loop {
        let looked = look(path.clone(), sources).await;
        let Some((seen, outcome)) = looked else { return };
        sources = seen;
        match outcome {
            Outcome::Unchanged => {}
            Outcome::Faults(faults) => {
                tracing::warn!(count = faults.len(), "the configuration has faults; the one in force stays");
                for fault in faults {
                    tracing::warn!(%fault, "configuration");
                }
            }
            Outcome::Good(loaded) => {
                if let Some(changed) = differing(*loaded, &in_force) {
                    in_force = changed;
                    tracing::info!(monitors = in_force.monitors.len(), "a new configuration is in force");
                    page.store(Arc::new(in_force.page.clone()));
                    if intake.send(Intake::Configure(Arc::clone(&in_force))).await.is_err() {
                        return;
                    }
                }
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
            () = hung_up(&mut hangup) => {
                tracing::info!("SIGHUP: reading the configuration again");
                // What was seen is forgotten, so that faults are said again to the one who asks.
                sources = Sources::default();
            }
        }
    }
}

/// The files that a configuration was made of, as they were.
type Sources = BTreeMap<PathBuf, Option<Digest>>;

enum Outcome {
    Unchanged,
    Good(Box<Loaded>),
    Faults(Vec<Fault>),
}

async fn hung_up(hangup: &mut Option<tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Reads what there is, away from the event loop: a file may lie on a slow disk.
async fn look(path: PathBuf, sources: Sources) -> Option<(Sources, Outcome)> {
    tokio::task::spawn_blocking(move || {
        let unchanged = !sources.is_empty()
            && sources
                .iter()
                .all(|(path, digest)| *digest == read_bounded(path).ok().as_deref().map(Digest::of));
        if unchanged {
            return (sources, Outcome::Unchanged);
        }
        read(&path)
    })
    .await
    .ok()
}

fn read(path: &Path) -> (Sources, Outcome) {
    let sources = RefCell::new(Sources::new());
    let environment = Environment {
        file: Box::new(|path| {
            let bytes = read_bounded(path);
            sources.borrow_mut().insert(path.to_owned(), bytes.as_deref().ok().map(Digest::of));
            bytes
        }),
        ..Environment::of_process()
    };
    let outcome = match Config::load(path, &environment) {
        Ok(loaded) => Outcome::Good(Box::new(loaded)),
        Err(faults) => Outcome::Faults(faults),
    };
    drop(environment);
    (sources.into_inner(), outcome)
}

/// The new configuration as it may come into force; none where nothing of it is new.
fn differing(loaded: Loaded, in_force: &Config) -> Option<Arc<Config>> {
    let Loaded { mut config, warnings } = loaded;
    if config == *in_force {
        return None;
    }
    for warning in warnings {
        tracing::warn!(%warning, "configuration");
    }
    if config.server != in_force.server {
        tracing::warn!("[server] changed: that comes into force with a restart");
        config.server.clone_from(&in_force.server);
    }
    if config.local_regions != in_force.local_regions {
        tracing::warn!("[local] changed: `quorate up` starts other local agents with a restart");
    }
    if config.page != in_force.page {
        tracing::info!("[page] changed: the page shows it at once, alerts after a restart");
    }
    (config != *in_force).then(|| Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MONITOR: &str = "[[monitors]]\nid = \"a\"\nurl = \"wss://example.org/\"\n";

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
    }

    fn start(path: &Path) -> Arc<Config> {
        Arc::new(Config::load(path, &Environment::of_process()).unwrap().config)
    }

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Good(_) => "good",
            Outcome::Faults(_) => "faults",
        }
    }

    #[test]
    fn a_file_is_read_again_when_its_content_or_that_of_a_reference_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, header) = (folder.path().join("quorate.toml"), folder.path().join("header"));
        write(&path, &format!("{MONITOR}headers = {{ X = \"file:header\" }}"));
        write(&header, "one");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut sources = Sources::default();
        let mut look = |wanted: &str| {
            let (seen, outcome) = runtime.block_on(look(path.clone(), std::mem::take(&mut sources))).unwrap();
            assert_eq!(kind(&outcome), wanted);
            sources = seen;
        };
        look("good");
        look("unchanged");
        write(&header, "two");
        look("good");
        fs::remove_file(&header).unwrap();
        look("faults");
        look("unchanged");
        write(&header, "two");
        look("good");
        write(&path, "monitors = 5");
        look("faults");
    }

    #[test]
    fn what_wants_a_restart_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quorate.toml");
        let differing = |text: &str, in_force: &Config| {
            write(&path, text);
            differing(Config::load(&path, &Environment::of_process()).unwrap(), in_force)
        };
        write(&path, MONITOR);
        let in_force = start(&path);
        assert_eq!(differing(MONITOR, &in_force), None);
        let port = "[server]\nhttp = \"127.0.0.1:1\"\n";
        assert_eq!(differing(&format!("{port}{MONITOR}"), &in_force), None);
        let changed = differing(&format!("{port}{MONITOR}interval = \"10s\"\n"), &in_force).unwrap();
        assert_eq!(changed.server, in_force.server);
        assert_ne!(changed.monitors, in_force.monitors);
    }
}
