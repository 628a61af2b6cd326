//! Tokens that nobody signed, most of them close to one that somebody did.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::login::token(data));
