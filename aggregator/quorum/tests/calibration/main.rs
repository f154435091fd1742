//! What is chosen for the paths of a monitor, seen from outside.

#[cfg(test)]
mod choices;
