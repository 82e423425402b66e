#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond::backup::fuzz_backup(data));
