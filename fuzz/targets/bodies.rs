//! JSON bodies, and the faults that are found in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_hyper::fuzzing::body(data));
