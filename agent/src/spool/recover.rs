//! What a start finds in the spool's folder.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
};

use quorate_proto::{AgentKey, AggregatorKey, SignedUnit};

use super::{
    SpoolError,
    disk::segment_path,
    queue::{Key, Location, Queue},
    segment::{self, Item},
};
use crate::clock;

/// Reads every segment of the folder into the queue, oldest first. Gives the number for the next segment.
pub(super) fn recover(
    folder: &Path,
    agent: AgentKey,
    aggregator: AggregatorKey,
    queue: &mut Queue,
) -> Result<u64, SpoolError> {
    let failed = |error| SpoolError::Folder { folder: folder.to_owned(), error };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut segments = segment_ids(folder).map_err(failed)?;
    segments.sort_unstable();
    let mut recovery = Recovery { agent, aggregator, lost: BTreeMap::new(), lost_here: None, foreign: 0 };
    for segment in &segments {
        recovery.segment(folder, *segment, queue)?;
    }
    queue.fill_holes(&recovery.lost, clock::tick());
    queue.bound_units(clock::tick());
    if recovery.foreign > 0 {
        tracing::warn!(
            units = recovery.foreign,
            "spooled units of another agent or aggregator are passed over"
        );
    }
    Ok(segments.last().map_or(0, |last| last + 1))
}

fn segment_ids(folder: &Path) -> io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        ids.extend(id.and_then(|id| u64::from_str_radix(id, 16).ok()));
    }
    Ok(ids)
}

struct Recovery {
    agent: AgentKey,
    aggregator: AggregatorKey,
    /// By the first whole unit behind: results that damaged records had.
    lost: BTreeMap<Key, u64>,
    lost_here: Option<u64>,
    foreign: u64,
}

impl Recovery {
    fn segment(&mut self, folder: &Path, segment: u64, queue: &mut Queue) -> Result<(), SpoolError> {
        let path = segment_path(folder, segment);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a spool segment cannot be read and is passed over");
                queue.counts.records_torn += 1;
                self.lost_here.get_or_insert(0);
                return Ok(());
            }
        };
        let Some(scan) = segment::scan(&file) else {
            // A start that was cut off before the first record leaves less than the header.
            let is_start = segment::FILE_HEADER.starts_with(&file);
            let is_version = file.starts_with(b"QSPOOL");
            if !is_start && is_version {
                return Err(SpoolError::Version { path });
            }
            queue.counts.records_torn += u64::from(!is_start);
            queue.segment_has(segment, file.len() as u64);
            return Ok(());
        };
        queue.segment_has(segment, scan.whole as u64);
        if scan.torn {
            queue.counts.records_torn += 1;
            let bytes = file.len() - scan.whole;
            tracing::info!(path = %path.display(), bytes, "the spool's torn tail is cut off");
            let cut =
                File::options().write(true).open(&path).and_then(|file| file.set_len(scan.whole as u64));
            if let Err(error) = cut {
                tracing::warn!(path = %path.display(), %error, "the torn tail cannot be cut off");
            }
        }
        for item in scan.items {
            self.item(&file, segment, item, queue);
        }
        Ok(())
    }

    fn item(&mut self, file: &[u8], segment: u64, item: Item, queue: &mut Queue) {
        match item {
            Item::Damaged { results } => {
                queue.counts.records_torn += 1;
                tracing::warn!(segment, results, "a spooled unit is damaged and lost");
                *self.lost_here.get_or_insert(0) += u64::from(results);
            }
            Item::Unit { record, unit, results, searched } => {
                let unit = SignedUnit::parse(file.get(unit).unwrap_or_default().to_vec());
                let ours = unit.ok().filter(|unit| {
                    let place = unit.place();
                    place.agent == self.agent
                        && place.aggregator == self.aggregator
                        && (!searched || unit.is_signed())
                });
                let Some(unit) = ours else {
                    self.foreign += 1;
                    return;
                };
                let location = Location { segment, offset: record.start as u64, bytes: record.len() };
                queue.restore(&unit, results, location);
                if let Some(lost) = self.lost_here.take() {
                    self.lost.insert((unit.place().epoch, unit.place().sequence), lost);
                }
            }
        }
    }
}
