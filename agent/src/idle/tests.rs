//! Searches against servers and paths with a known idle timeout.
