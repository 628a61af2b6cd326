//! A node's reports, from its JSON to what they make of a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reports::report(data));
