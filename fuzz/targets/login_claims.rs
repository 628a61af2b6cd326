//! Truly signed tokens that say anything at all.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::login::claims(data));
