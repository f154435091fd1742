//! Canaries against scripted servers.
