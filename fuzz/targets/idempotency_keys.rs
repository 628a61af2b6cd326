//! What a caller may call its request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_hyper::fuzzing::idempotency_key(data));
