//! JSON merge patches.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_hyper::fuzzing::patch(data));
