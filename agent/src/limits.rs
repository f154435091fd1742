//! Every bound of the agent that the protocol does not already set, each with its reason.


