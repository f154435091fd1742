//! (in the making)
mod identity;
mod reload;
/// Why the aggregator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Identity.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
}
