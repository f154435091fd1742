//! `quorate`: watches WebSocket endpoints from many regions and pages when a quorum of them agrees.
//!
//! | command | does | where |
//! |---|---|---|
//! | `demo` | shows everything on this machine, with servers that break on purpose | `demo.rs` |
//! | `up` | aggregator and local agents in one process | `cli/up.rs` |
//! | `serve` | the aggregator alone | `cli/serve.rs`, `run.rs` |
//! | `init`, `config check` | writes and checks `quorate.toml` | `cli/init.rs`, `cli/config.rs` |
//! | `policy`, `replay` | what rules cost and give; the past under other rules | `cli/policy.rs`, `cli/replay.rs` |
//! | `agents add`, `list`, `revoke` | enrols and revokes agents, through the HTTP API | `cli/agents.rs` |
//! | `explain`, `export`, `verify` | why an incident was decided, and the proof of it | `evidence.rs` |
//! | `check` | one check from here, explained | `quorate_agent::check` |

use std::process::ExitCode;

fn main() -> ExitCode {
    quorate::cli::main()
}
