#![doc = "x"]

#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "its user, the node, is being written")
)]
pub(crate) mod store;
