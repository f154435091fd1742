//! `quorate-agent`: probes WebSocket endpoints from where it stands, for an aggregator that decides.
//!
//! | command | does | where |
//! |---|---|---|
//! | `run` | joins an aggregator once, then probes for it | `cli/run.rs`, `run.rs` |
//! | `check` | one check from here, explained | `check.rs` |

use std::process::ExitCode;

fn main() -> ExitCode {
    quorate_agent::cli::main()
}
