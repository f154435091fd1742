//! Every bound of the aggregator that the protocol does not already set, each with its reason.
