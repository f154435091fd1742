//! The disk without a thread, in a simulation: between any two steps it may be cut off.

use std::sync::Arc;

use super::disk::{Disk, Job};
use crate::simulation::{self, Disk as Moment};

impl Disk {
    /// Works until the spool is closed.
    pub(super) async fn run_simulated(mut self) {
        let shared = Arc::clone(&self.shared);
        let folder = self.folder.clone();
        loop {
            let look = self.look(&mut shared.lock());
            match look {
                Ok(Job::Read(reads)) => self.read(&reads),
                Ok(Job::Write { doomed, writes }) => {
                    simulation::pass(&folder, Moment::SpoolWrite).await;
                    self.write(&doomed, &writes);
                    simulation::pass(&folder, Moment::SpoolWritten).await;
                }
                Ok(Job::Delete(segments)) => {
                    simulation::pass(&folder, Moment::SpoolDelete).await;
                    self.delete(&segments);
                    simulation::pass(&folder, Moment::SpoolDeleted).await;
                }
                Ok(Job::End) => return,
                Err(None) => shared.work_simulated.notified().await,
                Err(Some(wait)) => {
                    let _ = tokio::time::timeout(wait.into(), shared.work_simulated.notified()).await;
                }
            }
        }
    }
}
