#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond_transport_unix::fuzz_unix(data));
