//! What must be true of every run, whatever went wrong in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use quorate_proto::{
    AgentKey, SignedUnit, SigningKey,
    unit::{Content, Digest},
};
use rusqlite::Connection;
use serde_json::Value;

use crate::{
    house::{Left, SERVER, name},
    machine::Fault,
    others::Page,
};

/// A check's way from its end to a disk: the batch's window while nobody listens (1 s), the spool's delay, the disk's own
/// time. What is younger than this when the power goes is lost with the memory.
const IN_MEMORY: Duration = Duration::from_millis(1_500);
/// How long an agent may take to be back where it was once its way is free: what QUIC takes to notice, and the pause.
const BACK_WITHIN: Duration = Duration::from_secs(32);

/// Everything.
pub(crate) fn all(left: &Left) -> Result<()> {
    let stored = Stored::read(left)?;
    no_errors(left)?;
    acknowledged_is_stored(left, &stored)?;
    chains_are_whole(&stored)?;
    results_are_stored_once(&stored)?;
    nothing_is_lost_in_silence(left, &stored)?;
    edges_are_told(left)?;
    no_page_without_an_outage(left)?;
    outages_are_paged_in_time(left)
}

/// Nothing was logged as an error.
fn no_errors(left: &Left) -> Result<()> {
    match left.trace.iter().find(|line| line.contains(" ERROR ")) {
        Some(line) => bail!("an error: {line}"),
        None => Ok(()),
    }
}

/// What is in the database.
struct Stored {
    /// By agent, epoch and sequence.
    units: BTreeMap<(AgentKey, u64, u64), StoredUnit>,
    gaps: Vec<StoredGap>,
    /// Rows of results, by agent.
    rows: BTreeMap<AgentKey, usize>,
}

struct StoredUnit {
    previous: Digest,
    digest: Digest,
    results: usize,
}

struct StoredGap {
    agent: AgentKey,
    epoch: u64,
    sequence: u64,
    resume: u64,
    results: u64,
}

impl Stored {
    fn read(left: &Left) -> Result<Self> {
        let database = Connection::open(left.database())?;
        let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        ensure!(sound == "ok", "the database: {sound}");
        let mut units = BTreeMap::new();
        let mut query = database.prepare("SELECT bytes FROM batch")?;
        for bytes in query.query_map([], |row| row.get::<_, Vec<u8>>(0))? {
            let unit = SignedUnit::parse(bytes?)?;
            ensure!(unit.is_signed(), "a unit with a bad signature is stored");
            let results = match unit.content()? {
                Content::Batch(body) => body.results.len(),
                Content::Gap(_) => 0,
            };
            let (place, digest) = (*unit.place(), unit.digest());
            let key = (place.agent, place.epoch.0, place.sequence.0);
            units.insert(key, StoredUnit { previous: place.previous, digest, results });
        }
        let mut query = database.prepare("SELECT bytes FROM gap")?;
        let mut gaps = Vec::new();
        for bytes in query.query_map([], |row| row.get::<_, Vec<u8>>(0))? {
            let unit = SignedUnit::parse(bytes?)?;
            let place = *unit.place();
            let Content::Gap(gap) = unit.content()? else { bail!("a gap that is none") };
            gaps.push(StoredGap {
                agent: place.agent,
                epoch: place.epoch.0,
                sequence: place.sequence.0,
                resume: gap.resume.0,
                results: gap.results,
            });
        }
        let mut query = database.prepare("SELECT agent, count(*) FROM result GROUP BY agent")?;
        let counted = query.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)))?;
        let mut rows = BTreeMap::new();
        for counted in counted {
            let (agent, count) = counted?;
            rows.insert(AgentKey(agent.as_slice().try_into()?), usize::try_from(count)?);
        }
        Ok(Self { units, gaps, rows })
    }

    /// Results of one life of an agent: stored, and said to be lost.
    fn of_life(&self, agent: AgentKey, epoch: u64) -> (usize, usize) {
        let units = self.units.range((agent, epoch, 0)..=(agent, epoch, u64::MAX));
        let lost = self.gaps.iter().filter(|gap| gap.agent == agent && gap.epoch == epoch);
        (units.map(|(_, unit)| unit.results).sum(), lost.map(|gap| gap.results as usize).sum())
    }
}

/// Whatever an agent was told to be stored is.
fn acknowledged_is_stored(left: &Left, stored: &Stored) -> Result<()> {
    let keys = keys(left)?;
    for line in lines(left, "answered ").filter(|line| line.text.contains("verdict=Stored")) {
        let agent = *keys.get(line.host).context("an answer to nobody")?;
        let (epoch, sequence) = (line.number("epoch=")?, line.number("sequence=")?);
        let is_gap = |gap: &StoredGap| (gap.agent, gap.epoch, gap.sequence) == (agent, epoch, sequence);
        ensure!(
            stored.units.contains_key(&(agent, epoch, sequence)) || stored.gaps.iter().any(is_gap),
            "acknowledged and not stored: {} {}",
            line.host,
            line.text
        );
    }
    Ok(())
}

/// Each unit names the one before, and what is missing in between is said to be missing.
fn chains_are_whole(stored: &Stored) -> Result<()> {
    let mut last: Option<(AgentKey, u64, u64, Digest)> = None;
    for ((agent, epoch, sequence), unit) in &stored.units {
        let before = last.filter(|(of, life, ..)| (of, life) == (agent, epoch));
        let expected = before.map_or(0, |(_, _, sequence, _)| sequence + 1);
        if *sequence == expected {
            let named = before.is_none_or(|(.., digest)| digest == unit.previous);
            ensure!(named, "{agent} {epoch} {sequence} names another predecessor");
        } else {
            let covers = |gap: &&StoredGap| (gap.agent, gap.epoch) == (*agent, *epoch);
            let mut at = expected;
            let mut gaps: Vec<_> = stored.gaps.iter().filter(covers).collect();
            gaps.sort_by_key(|gap| gap.sequence);
            for gap in gaps.iter().filter(|gap| gap.sequence <= *sequence) {
                at = if gap.sequence <= at { at.max(gap.resume) } else { at };
            }
            ensure!(
                at >= *sequence,
                "{agent} {epoch}: {expected} to {sequence} are missing, and no gap says so"
            );
        }
        last = Some((*agent, *epoch, *sequence, unit.digest));
    }
    Ok(())
}

fn results_are_stored_once(stored: &Stored) -> Result<()> {
    let mut signed = BTreeMap::<AgentKey, usize>::new();
    for ((agent, ..), unit) in &stored.units {
        *signed.entry(*agent).or_default() += unit.results;
    }
    signed.retain(|_, count| *count > 0);
    ensure!(signed == stored.rows, "results in the log {signed:?}, in the history {:?}", stored.rows);
    Ok(())
}

/// What agents found is stored, or said to be lost, but for what was in memory alone when the power went.
fn nothing_is_lost_in_silence(left: &Left, stored: &Stored) -> Result<()> {
    let keys = keys(left)?;
    for (host, key) in &keys {
        let mut lives: Vec<(u64, Vec<Duration>)> = Vec::new();
        for line in lines(left, "").filter(|line| line.host == host) {
            if line.text.contains("the agent starts") {
                lives.push((line.number("epoch=")?, Vec::new()));
            } else if line.text.contains(" checked ")
                && let Some((_, ends)) = lives.last_mut()
            {
                ends.push(line.at);
            }
        }
        let deaths: Vec<_> = turns(left, &format!("PutAway({host:?})")).collect();
        let count = lives.len();
        for (number, (epoch, ends)) in lives.into_iter().enumerate() {
            let (kept, lost) = stored.of_life(*key, epoch);
            let first = ends.first().copied().unwrap_or_default();
            let death = deaths.iter().find(|at| **at >= first).copied().filter(|_| number + 1 < count);
            let in_memory =
                death.map_or(0, |death| ends.iter().filter(|end| **end + IN_MEMORY >= death).count());
            let is_home = is_connected_at_the_end(left, host);
            ensure!(
                !is_home || kept + lost + in_memory >= ends.len(),
                "{host} in its life {epoch} made {} checks, of which {kept} are stored, {lost} said to be lost, \
                 and {in_memory} were in memory at its end",
                ends.len()
            );
            ensure!(kept <= ends.len(), "{host} made {} checks, and {kept} are stored", ends.len());
        }
    }
    Ok(())
}

fn is_connected_at_the_end(left: &Left, host: &str) -> bool {
    let of_line =
        |line: &Line<'_>| line.text.contains(": connected ") || line.text.contains(": connection lost");
    let last = lines(left, "").filter(|line| line.host == host).filter(of_line).last();
    last.is_some_and(|line| line.text.contains(": connected "))
}

/// What the database knows to be owed was taken by the receiver, each thing under one id.
fn edges_are_told(left: &Left) -> Result<()> {
    let database = Connection::open(left.database())?;
    let mut query = database.prepare("SELECT state, alert FROM delivery ORDER BY id")?;
    let owed = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut known = BTreeSet::new();
    for owed in owed {
        let (state, alert) = owed?;
        let alert: Value = serde_json::from_str(&alert)?;
        let id = alert.get("id").and_then(Value::as_str).context("an alert without an id")?.to_owned();
        let taken = left.pages.iter().any(|page| page.id == id && page.answered == 200);
        ensure!(taken, "{id} ({state}) was not taken by the receiver: {alert}");
        known.insert(id);
    }
    let mut told = BTreeMap::<&str, (String, String)>::new();
    let mut ids = BTreeMap::<(String, String), &str>::new();
    for page in &left.pages {
        ensure!(known.contains(&page.id), "a page that nobody owes: {page:?}");
        let what = (page.event().to_owned(), page.incident("/id").to_owned());
        let same = told.entry(&page.id).or_insert_with(|| what.clone());
        ensure!(*same == what, "{} tells {same:?} and {what:?}", page.id);
        if ["incident.opened", "incident.resolved"].contains(&page.event()) {
            let id = ids.entry(what.clone()).or_insert(&page.id);
            ensure!(*id == page.id, "{what:?} is told as {id} and as {}", page.id);
        }
    }
    let mut query = database.prepare("SELECT id, resolved_at IS NOT NULL, body FROM incident")?;
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, row.get::<_, String>(2)?))
    })?;
    for row in rows {
        let (id, is_resolved, body) = row?;
        let body: Value = serde_json::from_str(&body)?;
        if body.get("worst").and_then(Value::as_str) == Some("down") {
            let is_told = |event: &str| ids.contains_key(&(event.to_owned(), id.clone()));
            ensure!(is_told("incident.opened"), "nobody heard of the beginning of {id}");
            ensure!(!is_resolved || is_told("incident.resolved"), "nobody heard of the end of {id}");
        }
    }
    Ok(())
}

/// When the server was down: its own crashes.
fn outages(left: &Left) -> Vec<(Duration, Duration)> {
    let of_server = |(at, fault): &(Duration, Fault)| match fault {
        Fault::Crash { host, down } if host == SERVER => Some((*at, *at + *down)),
        Fault::Crash { .. } | Fault::Cut { .. } => None,
    };
    left.plan.timeline.iter().filter_map(of_server).collect()
}

fn no_page_without_an_outage(left: &Left) -> Result<()> {
    let outages = outages(left);
    for page in left.pages.iter().filter(|page| page.says_down()) {
        // Nobody decides on a check that began before the outage, or is older than one interval and one timeout.
        let slack = Duration::from_secs(4);
        let decided = page.decided()?;
        let within = |(begin, end): &(Duration, Duration)| decided >= *begin && decided <= *end + slack;
        ensure!(outages.iter().any(within), "paged at {decided:?} while the server was well: {}", page.body);
    }
    Ok(())
}

fn outages_are_paged_in_time(left: &Left) -> Result<()> {
    let quiet = last_mend(left).map_or(Duration::ZERO, |mended| mended + BACK_WITHIN);
    for (begin, end) in outages(left) {
        let due = begin.max(quiet) + left.plan.page_within;
        if due > end {
            continue;
        }
        let is_page = |page: &&Page| page.says_down() && page.at >= begin && page.at <= due;
        ensure!(
            left.pages.iter().any(|page| is_page(&page)),
            "the outage at {begin:?} was not paged by {due:?}"
        );
    }
    Ok(())
}

impl Page {
    /// A text in the incident, by JSON pointer.
    fn incident(&self, pointer: &str) -> &str {
        let value = self.body.pointer(&format!("/data/incident{pointer}"));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether people hear by it that a monitor is down.
    fn says_down(&self) -> bool {
        ["incident.opened", "incident.updated"].contains(&self.event()) && self.incident("/verdict") == "down"
    }

    /// When it was decided, since the start.
    fn decided(&self) -> Result<Duration> {
        let text = self.body.get("timestamp").and_then(Value::as_str).context("no timestamp")?;
        crate::machine::since_start(text)
    }
}

/// A line of the trace.
struct Line<'a> {
    at: Duration,
    host: &'a str,
    text: &'a str,
}

impl Line<'_> {
    fn number(&self, field: &str) -> Result<u64> {
        let (_, rest) =
            self.text.split_once(field).with_context(|| format!("no {field} in {}", self.text))?;
        Ok(rest.split(' ').next().unwrap_or_default().parse()?)
    }
}

fn lines<'a>(left: &'a Left, with: &'a str) -> impl Iterator<Item = Line<'a>> {
    let parsed = left.trace.iter().filter_map(|line| {
        let (at, rest) = line.trim_start().split_once(' ')?;
        let (host, text) = rest.split_once(' ')?;
        Some(Line { at: Duration::from_micros(at.parse().ok()?), host, text })
    });
    parsed.filter(move |line| line.text.contains(with))
}

/// When the run itself did something.
fn turns<'a>(left: &'a Left, what: &'a str) -> impl Iterator<Item = Duration> {
    lines(left, "turn ").filter(move |line| line.text.contains(what)).map(|line| line.at)
}

/// When the last trouble but the server's own was over.
fn last_mend(left: &Left) -> Option<Duration> {
    let mends = lines(left, "turn ").filter(|line| {
        let is_servers = line.text.contains(&format!("Bounce({SERVER:?})"));
        line.text.contains("Repair") || (line.text.contains("Bounce") && !is_servers)
    });
    mends.map(|line| line.at).last()
}

/// Every agent's key, by its host.
fn keys(left: &Left) -> Result<BTreeMap<String, AgentKey>> {
    let key = |agent: usize| {
        let bytes = fs::read(left.state_of(agent).join("agent.key"))?;
        Ok((name(agent), SigningKey::from_pkcs8(&bytes)?.agent_key()))
    };
    (0..left.plan.agents).map(key).collect()
}
