//! Where a list goes on, as a caller may send it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_hyper::fuzzing::cursor(data));
