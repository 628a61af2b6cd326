//! A session's life: whatever its owner, its node and time bring, in whatever order.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| domain::testing::check_lifecycle(data));
