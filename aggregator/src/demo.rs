//! `quorate demo`: everything in one process, with servers that break on purpose.
//!
//! The aggregator, its store, the agents, their connections, the webhook and its signature are the real ones; only the
//! watched servers and the receiver are ours. Each fault hits a server and a monitor of its own, one after the other.

mod endpoint;
mod folder;
mod receiver;
mod screen;
mod script;
mod stage;

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use clap::Args;
use quorate_proto::Micros;
use quorate_quorum::{Moment, Verdict, Vote};
use tokio::time::{MissedTickBehavior, interval};

use self::{
    receiver::{Arrival, Message},
    screen::{Screen, seconds},
    script::{Action, SCRIPT_TAKES, Script, since},
    stage::Stage,
};
use crate::{
    cli::{CliError, stop_signal},
    clock,
    config::spans,
    limits,
    model::{Incident, Snapshot},
};

/// How often the present is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `quorate demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Four servers break, one after the other: killed, silent, slow, and one that a single region does not reach. The first
three must be paged, the last must not. The last column of the table counts from the fault to the webhook's arrival.
Nothing is left behind: data goes to a temporary folder, and every port is a free one of this machine.")]
pub struct Arguments {
    /// End after this long at the latest, with a table; exit code 0 only if all went as it must. Without it the faults
    /// are repeated until Ctrl-C
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    end_after: Option<Micros>,
}

/// Runs the demo.
///
/// # Errors
/// [`CliError`] where it cannot start.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let started = clock::now();
    let (stage, page) = Stage::open().await?;
    let screen = Screen::new(started, stage::regions());
    screen.say(&format!("status page  {page}"));
    if let Some(end_after) = arguments.end_after.filter(|end_after| *end_after < SCRIPT_TAKES) {
        screen.say(&format!(
            "--for {end_after} is too short for all faults, which take about {SCRIPT_TAKES}: those that are not reached \
             count as not shown, and the exit code is 1"
        ));
    }
    let stage = stage.start_agents().await?;
    screen.say(&format!(
        "{} agents of as many regions watch 4 servers on this machine, each every {}; pages go to a webhook receiver here\n",
        stage::regions().len(),
        stage::INTERVAL,
    ));
    screen.head();
    let mut play = Play {
        deadline: arguments.end_after.map(|end_after| Moment(started.0.saturating_add(end_after.0))),
        stage,
        screen,
        script: Script::new(),
        seen: BTreeSet::new(),
        all_good: true,
    };
    let good = play.run().await;
    play.stage.close().await;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The demo while it runs.
struct Play {
    deadline: Option<Moment>,
    stage: Stage,
    screen: Screen,
    script: Script,
    /// Messages that arrived, since each may arrive twice.
    seen: BTreeSet<String>,
    all_good: bool,
}

impl Play {
    /// Plays until the end. Returns whether all went as it must.
    async fn run(&mut self) -> bool {
        let stop = stop_signal();
        tokio::pin!(stop);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                arrival = self.stage.receiver.arrivals.recv() => {
                    arrival.into_iter().for_each(|arrival| self.take(arrival));
                    false
                }
                _ = look.tick() => false,
            };
            let at = clock::now();
            let over = self.deadline.is_some_and(|deadline| at >= deadline);
            if over || stopped || self.screen.is_unread() || self.step(at) {
                self.screen.summary(self.script.acts());
                // Whoever ends an endless demo has not made a fault of what was under way.
                let good = self.script.is_good() || (self.deadline.is_none() && self.script.is_good_so_far());
                return self.all_good && good;
            }
        }
    }

    /// Shows what changed and does what is due. Returns whether it is over.
    fn step(&mut self, at: Moment) -> bool {
        if let Some(ended) = self.stage.ended() {
            self.screen.say(&format!("{ended}"));
            self.all_good = false;
            return true;
        }
        let snapshot = self.stage.snapshot();
        self.screen.show(at, &snapshot);
        let all_up = all_up(&snapshot);
        while let Some(action) = self.script.poll(at, all_up) {
            match action {
                Action::Break(fault) => {
                    self.stage.break_with(fault);
                    self.screen.broken(at, fault);
                }
                Action::Heal(fault) => {
                    self.stage.heal(fault);
                    self.screen.healed(at, fault);
                }
                Action::Through if self.has_time_for_another(at) => {
                    self.screen.summary(self.script.acts());
                    self.screen.say("\nonce more; Ctrl-C ends it");
                    self.all_good &= self.script.is_good();
                    self.script.again();
                }
                Action::Through => return true,
            }
        }
        false
    }

    fn has_time_for_another(&self, at: Moment) -> bool {
        self.deadline.is_none_or(|deadline| since(deadline, at) >= SCRIPT_TAKES)
    }

    fn take(&mut self, arrival: Arrival) {
        let Arrival { at, id, signed, message } = arrival;
        let Some(Message { kind, data }) = message.filter(|_| signed) else {
            self.script.unexplained += 1;
            self.screen.strange(at, if signed { "cannot be read" } else { "has no good signature" });
            return;
        };
        if self.seen.len() == limits::DEMO_MESSAGES_REMEMBERED_MAX {
            self.seen.pop_first();
        }
        let is_new = self.seen.insert(id);
        let Some(incident) = data.incident.filter(|_| is_new) else { return };
        let monitor = incident.monitor.id.as_str();
        match kind.as_str() {
            "incident.resolved" => {
                let after = self.script.handle_resolved(monitor, at);
                let after = after.map_or(String::new(), |after| format!("{after:.1} s after the healing, "));
                self.screen.resolved(at, monitor, &format!("{after}signature verified"));
            }
            _ if incident.verdict == Verdict::Down.name() => {
                let after = self.script.handle_page(monitor, at);
                let [when, why] = page_text(&incident, after);
                self.screen.paged(at, monitor, &when, &why);
            }
            _ => self.screen.noted(at, monitor, &format!("{kind}: {}", incident.verdict)),
        }
    }
}

/// When it came, and the evidence below it.
fn page_text(incident: &Incident, after: Option<f64>) -> [String; 2] {
    let after = match after {
        Some(after) => format!("{after:.1} s after the fault, signature verified"),
        None => "NOT EXPECTED, signature verified".to_owned(),
    };
    let timeline = incident.timeline;
    let decided = timeline.first_failure_at.zip(timeline.decided_at);
    let decided = decided.map_or(String::new(), |(first, decided)| {
        format!(" (decided {} after the first failed check)", seconds(decided.since(first)))
    });
    [after, format!("{}{decided}", incident.rule.trim_end_matches('.'))]
}

/// Whether every server is up, and every region says so.
fn all_up(snapshot: &Snapshot) -> bool {
    snapshot.monitors.len() == script::Fault::ALL.len()
        && snapshot.monitors.iter().all(|monitor| {
            let all_ok = monitor.regions.iter().all(|region| region.vote == Vote::Ok);
            monitor.verdict == Some(Verdict::Up) && !monitor.suspect && all_ok
        })
}

fn span(text: &str) -> Result<Micros, &'static str> {
    spans::parse(text).ok_or("wanted a span with its unit, such as 90s or 5m")
}
