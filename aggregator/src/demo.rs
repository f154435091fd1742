//! x
mod endpoint; mod receiver; mod screen; mod script;
