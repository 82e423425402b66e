//! Tests of the core as its users see it: laws, codecs, and a small model of replicas.

mod arbitrary;
mod codec;
mod counters;
mod hostile;
mod laws;
mod model;
mod overhead;
mod red_team;
mod values;
mod world;
