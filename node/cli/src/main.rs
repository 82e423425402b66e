//! x
#[cfg_attr(not(test), expect(dead_code))] // until `demo` reads it
mod dataset;

fn main() {}
