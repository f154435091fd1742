//! The engine's rules, as data; and its properties.

#[cfg(test)]
mod absences;
#[cfg(test)]
mod announced;
#[cfg(test)]
mod calibrated;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod compared;
#[cfg(test)]
mod domains;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod outliers;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod script;
#[cfg(test)]
mod starts;
#[cfg(test)]
mod views;
