//! The writer without a thread, in a simulation: before and after each commit it may be cut off.

use std::path::PathBuf;

use quorate_agent::simulation::{self, Disk};
use tokio::sync::mpsc::Receiver;

use super::{Job, Writer};

impl Writer {
    /// Works until every [`crate::store::Store`] is gone and the queue is empty.
    pub(in crate::store) async fn run_simulated(mut self, folder: PathBuf, mut jobs: Receiver<Job>) {
        while let Some(Job { commit, done }) = jobs.recv().await {
            simulation::pass(&folder, Disk::Commit).await;
            let outcome = self.commit(&commit);
            simulation::pass(&folder, Disk::Committed).await;
            let _ = done.send(outcome);
            self.checkpoint();
        }
    }
}
