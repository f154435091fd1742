//! The store: SQLite behind a border. One writer thread, read-only connections for everyone else.

pub mod reader;

pub use reader::{Cursor, Paged, Reader, ResultRow, StoreError};
