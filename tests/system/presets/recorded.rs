//! Dialogues out of a protocol's documentation, for protocols of which no server can be had here.
