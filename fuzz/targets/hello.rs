#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond::sim::fuzz_hello(data));
