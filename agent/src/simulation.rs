//! What a simulation gives in place of the machine, for all that runs on its thread: clock, network, the disk's pace,
//! chance. Built with the feature `simulation` alone, which nothing that is shipped has on.
//!
//! Where the program would ask the machine it asks [`world`] first; without a world the machine answers, so that with the
//! feature on everything else works as ever.

use std::{cell::RefCell, io, net::SocketAddr, path::Path, pin::Pin, rc::Rc};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{clock::Now, uplink::Datagrams};

/// A simulated TCP connection.
pub trait Connection: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Connection for T {}

/// Something to be waited for in a simulation.
pub type Wait<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Binds a UDP socket.
pub type Bind = dyn Fn(SocketAddr) -> io::Result<Datagrams>;
/// A TCP connection that is being made.
pub type Connecting = Wait<io::Result<Box<dyn Connection>>>;
/// Connects a TCP socket.
pub type Connect = dyn Fn(SocketAddr) -> Connecting;
/// Fills bytes.
pub type Fill = dyn Fn(&mut [u8]);
/// Passes by a moment of the disk that holds a folder.
pub type Pass = dyn Fn(&Path, Disk) -> Wait<()>;

/// A moment at which a disk's work can be cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disk {
    /// The spool is about to write.
    SpoolWrite,
    /// The spool's write is synced, and nobody knows yet.
    SpoolWritten,
    /// The spool is about to delete segments.
    SpoolDelete,
    /// They are gone, and nobody knows yet.
    SpoolDeleted,
    /// The store is about to commit.
    Commit,
    /// It has committed, and nobody knows yet.
    Committed,
}

/// A simulated machine.
pub struct World {
    /// Reads both clocks.
    pub now: Box<dyn Fn() -> Now>,
    /// Binds a UDP socket.
    pub datagrams: Box<Bind>,
    /// Connects a TCP socket.
    pub stream: Box<Connect>,
    /// Passes by a moment of the disk that holds a folder: what it gives is waited for, and may never come.
    pub disk: Box<Pass>,
    /// Fills bytes with what nobody else was given.
    pub fill: Box<Fill>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// Puts this thread into a world until the value is dropped.
#[must_use]
pub fn enter(world: World) -> Inside {
    WORLD.with(|present| present.replace(Some(Rc::new(world))));
    Inside(())
}

/// This thread is in a world.
#[derive(Debug)]
pub struct Inside(());

impl Drop for Inside {
    fn drop(&mut self) {
        WORLD.with(|present| present.replace(None));
    }
}

/// The world that this thread is in.
pub fn world() -> Option<Rc<World>> {
    WORLD.with(|present| present.borrow().clone())
}

/// The present of the world that this thread is in.
pub fn now() -> Option<Now> {
    world().map(|world| (world.now)())
}

/// Connects a TCP socket in the world that this thread is in.
pub fn connect(address: SocketAddr) -> Option<Connecting> {
    world().map(|world| (world.stream)(address))
}

/// Passes by a moment of a disk; at once outside of a simulation.
pub async fn pass(folder: &Path, moment: Disk) {
    let wait = world().map(|world| (world.disk)(folder, moment));
    if let Some(wait) = wait {
        wait.await;
    }
}
