//! Whom to tell, and when not: scripts of what happens, and properties of whatever may happen.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod events;
#[cfg(test)]
mod family;
#[cfg(test)]
mod flapping;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod script;
#[cfg(test)]
mod starts;
