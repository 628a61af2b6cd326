//! What `Accept` may say.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_hyper::fuzzing::accept(data));
