//! Lists of entity tags, as `If-Match` and `If-None-Match` have them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_hyper::fuzzing::conditions(data));
