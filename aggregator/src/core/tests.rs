//! The core as a whole: its own state, the real engine and a real store, with a clock that the tests move.

mod alerts;
mod assign;
mod bench;
mod calibration;
mod canaries;
mod doubts;
mod enrol;
mod evidence;
mod explained;
mod maintenance;
mod outliers;
mod paging;
mod quality;
mod random;
mod restart;
mod run;
mod storage;
mod units;
mod uptime;
