//! An issuer's key set, as it may come.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth::fuzzing::key_set(data));
