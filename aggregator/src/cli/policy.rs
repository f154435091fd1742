//! `quorate policy`: what the rules cost and give, in false pages and seconds. See `deploy/policy.md`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use quorate_proto::{Micros, MonitorId, Region, WallMicros};
use quorate_quorum::{Calibration, Forecast, Moment, PageTime, PathQuality, Policy};
use serde_json::{Value, json};

use super::{
    CliError, print, serve,
    what_if::{self, Set},
};
use crate::{clock, config::Config, decide, store::past::Past};

/// How far back paths are measured without being said.
const SINCE: &str = "14d";

/// Arguments of `quorate policy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate policy                                     each monitor under the configuration
  quorate policy --set interval=10s --set quorum=3   and beside it what would be
  quorate policy --data /var/lib/quorate             on the paths as they were measured

Keys: quorum, confirm_for, sensitivity, interval, timeout, restart_budget.
False pages are those that bad paths make without a fault of the server, in 1,000 years of one monitor. Where nothing was
measured, paths are assumed to be good 99.9 % of the time and bad for 20 s at a time. Formulas: deploy/policy.md.")]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, default_value = "quorate.toml", value_name = "FILE")]
    config: PathBuf,
    /// What would be if a rule were another; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The data folder from whose results paths are measured; without it that of the configuration, where it is there
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// How far back paths are measured
    #[arg(long, default_value = SINCE, value_name = "SPAN")]
    since: String,
    /// For machines: a JSON list, one object a monitor
    #[arg(long)]
    json: bool,
}

/// One monitor's rules, and what they come to.
struct Entry {
    monitor: MonitorId,
    policy: Policy,
    /// With the numbers that fit the paths, where they are known well enough and the configuration lets them.
    calibrated: Option<Policy>,
    changed: Option<Policy>,
    /// Measured paths; empty where none were.
    paths: BTreeMap<Region, PathQuality>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let sets = what_if::read(&arguments.set)?;
    let loaded = serve::load(&arguments.config)?;
    let past = past(arguments.data.as_deref(), &loaded.config)?;
    let since = since(&arguments.since)?;
    let entries = entries(&loaded.config, &sets, past.as_ref(), since)?;
    let text = match arguments.json {
        true => format!("{:#}\n", entries.iter().map(Entry::json).collect::<Value>()),
        false => table(&entries, &arguments.set),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Since when, of a span before now.
pub(super) fn since(span: &str) -> Result<WallMicros, CliError> {
    let span = crate::config::spans::parse(span)
        .ok_or(CliError::Arguments("--since: wanted a span with its unit, such as 30d or 12h"))?;
    Ok(clock::wall().before(span))
}

/// The past of the folder that was named, which must be there, or of the configuration's, which may.
fn past(named: Option<&Path>, config: &Config) -> Result<Option<Past>, CliError> {
    match named {
        Some(folder) => Ok(Some(Past::open(folder)?)),
        None if config.server.data.join(crate::store::open::FILE).exists() => {
            Ok(Some(Past::open(&config.server.data)?))
        }
        None => Ok(None),
    }
}

fn entries(
    config: &Config,
    sets: &[Set],
    past: Option<&Past>,
    since: WallMicros,
) -> Result<Vec<Entry>, CliError> {
    let entry = |monitor: &crate::config::Monitor| {
        let policy = decide::policy(monitor, 0);
        let id = monitor.spec.id.clone();
        let changed = match sets {
            [] => None,
            sets => Some(what_if::changed(id.as_str(), &policy, sets)?),
        };
        let mut calibration = Calibration::new(&policy);
        if let Some(past) = past {
            measure(&mut calibration, past, &id, &policy, since)?;
        }
        let fitting = calibration.review(&policy, Moment::default()).and_then(|change| change.calibrated);
        let calibrated = fitting
            .filter(|_| monitor.calibrate)
            .map(|fitting| Policy { calibrated: Some(fitting), ..policy.clone() });
        let paths =
            calibration.paths().sums().map(|(region, sums)| (region.clone(), sums.quality())).collect();
        Ok(Entry { monitor: id, policy, calibrated, changed, paths })
    };
    config.monitors.iter().map(entry).collect()
}

/// Measures the paths of a monitor by what is stored of its checks.
fn measure(
    calibration: &mut Calibration,
    past: &Past,
    monitor: &MonitorId,
    policy: &Policy,
    since: WallMicros,
) -> Result<(), CliError> {
    for check in past.checks(monitor, since)? {
        let ended = Moment(u64::try_from(check.ended.0).unwrap_or(0));
        let failed = match check.finding {
            quorate_quorum::Finding::Passed => false,
            quorate_quorum::Finding::Failed => true,
            quorate_quorum::Finding::AgentsOwnFault => continue,
        };
        if policy.regions.contains(&check.region) {
            calibration.observe((check.agent, &check.region), ended.before(check.took), ended, failed);
        }
    }
    Ok(())
}

impl Entry {
    /// What some rules come to on its paths.
    fn forecast(&self, policy: &Policy) -> Forecast {
        Forecast::of(policy, |region| self.paths.get(region).copied().unwrap_or(PathQuality::ASSUMED))
    }

    fn json(&self) -> Value {
        let time = |time: PageTime| json!({ "mean_s": time.mean.as_secs_f64(), "worst_s": time.worst.as_secs_f64() });
        let of = |policy: &Policy| {
            let forecast = self.forecast(policy);
            json!({
                "rule": policy.describe(),
                "interval_s": policy.interval.as_secs_f64(),
                "timeout_s": policy.timeout.as_secs_f64(),
                "false_pages_per_1000_years": forecast.false_pages(),
                "false_pages_by_majority": forecast.by_majority,
                "page_refused": time(forecast.refused),
                "page_silent": time(forecast.silent),
                "noisy": policy.regions.iter().filter(|region| policy.is_noisy(region)).collect::<Vec<_>>(),
            })
        };
        let path = |quality: &PathQuality| {
            json!({
                "bad_share": quality.share,
                "bad_for_s": quality.spell.as_secs_f64(),
                "check_waits_s": quality.wait.as_secs_f64(),
                "bad_together": quality.together,
            })
        };
        json!({
            "monitor": self.monitor,
            "present": of(&self.policy),
            "calibrated": self.calibrated.as_ref().map(of),
            "set": self.changed.as_ref().map(of),
            "paths": self.paths.iter().map(|(region, quality)| (region.to_string(), path(quality))).collect::<BTreeMap<_, _>>(),
        })
    }
}

/// One block for all monitors with equal rules and paths.
fn table(entries: &[Entry], sets: &[String]) -> String {
    let mut blocks: Vec<(String, Vec<&str>)> = Vec::new();
    for entry in entries {
        let block = block(entry, sets);
        match blocks.iter_mut().find(|(known, _)| *known == block) {
            Some((_, monitors)) => monitors.push(entry.monitor.as_str()),
            None => blocks.push((block, vec![entry.monitor.as_str()])),
        }
    }
    let mut text = String::new();
    for (block, monitors) in &blocks {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}\n{block}\n", monitors.join(", "));
    }
    match entries {
        [] => text.push_str("nothing is watched: add a [[monitors]] table\n"),
        _ => text.push_str(
            "false pages: without a fault of the server, in 1,000 monitor-years, within a factor of three\n",
        ),
    }
    text
}

fn block(entry: &Entry, sets: &[String]) -> String {
    let mut text =
        format!("  {:22}{:>12}{:>24}{:>24}\n", "", "false pages", "paged, refused", "paged, silent");
    let mut line = |name: &str, policy: &Policy| {
        let forecast = entry.forecast(policy);
        let time =
            |time: PageTime| format!("{:.0} s, at worst {:.0} s", seconds(time.mean), seconds(time.worst));
        let _ = writeln!(
            text,
            "  {name:22}{:>12}{:>24}{:>24}   {}, every {}",
            shown(forecast.false_pages()),
            time(forecast.refused),
            time(forecast.silent),
            policy.describe(),
            policy.interval,
        );
    };
    line("as configured", &entry.policy);
    if let Some(calibrated) = &entry.calibrated {
        line("as the paths want", calibrated);
    }
    if let Some(changed) = &entry.changed {
        line(&sets.join(" "), changed);
    }
    if entry.paths.is_empty() {
        text.push_str("  paths: not measured; assumed bad 0.1 % of the time, 20 s at a time\n");
    }
    for (region, quality) in &entry.paths {
        let _ = writeln!(
            text,
            "  path from {region}: bad {:.3} % of the time, {:.0} s at a time{}",
            quality.share * 100.0,
            seconds(quality.spell),
            if entry.calibrated.as_ref().is_some_and(|policy| policy.is_noisy(region)) {
                "; noisy, abstains"
            } else {
                ""
            },
        );
    }
    text
}

fn seconds(span: Micros) -> f64 {
    span.as_secs_f64()
}

/// A rate as people read it.
fn shown(rate: f64) -> String {
    match rate {
        rate if rate < 0.001 => "< 0.001".to_owned(),
        rate if rate < 10.0 => format!("{rate:.3}"),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_with_what_they_come_to() {
        let regions = ["a", "b", "c", "d", "e"].map(|name| name.parse().unwrap()).into();
        let policy = Policy::new(regions, Micros::from_secs(30), Micros::from_secs(10));
        let sets = vec!["quorum=3".to_owned()];
        let changed = what_if::changed("chat", &policy, &what_if::read(&sets).unwrap()).unwrap();
        let entry = |monitor: &str| Entry {
            monitor: monitor.parse().unwrap(),
            policy: policy.clone(),
            calibrated: None,
            changed: Some(changed.clone()),
            paths: BTreeMap::new(),
        };
        let text = table(&[entry("chat"), entry("feed")], &sets);
        assert!(text.starts_with("chat, feed\n"), "{text}");
        assert!(text.contains("4 of 5 regions for 11s, every 30s"), "{text}");
        assert!(text.contains("3 of 5 regions for 11s"), "{text}");
        assert!(text.contains("14 s, at worst 18 s"), "{text}");
        let json = entry("chat").json();
        let rate =
            |of: &str| json.pointer(&format!("/{of}/false_pages_per_1000_years")).unwrap().as_f64().unwrap();
        assert!(rate("set") > rate("present") * 100.0, "{json}");
    }
}
