//! The transport in memory passes the suite, and the suite notices transports that break its rules.

mod faults;
mod memory;
