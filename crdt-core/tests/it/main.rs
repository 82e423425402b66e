//! Tests of the core as its users see it: laws, codecs, and a small model of replicas.

mod arbitrary;
mod closed;
mod codec;
mod corpus;
mod counters;
mod flags;
mod golden;
mod hostile;
mod laws;
mod logs;
mod model;
mod overhead;
mod red_team;
mod samples;
mod values;
mod world;
