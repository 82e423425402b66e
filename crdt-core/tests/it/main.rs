//! Tests of the core as its users see it: laws, codecs, and a small model of replicas.

mod arbitrary;
mod codec;
