#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sso_agent::fuzzing::run("record", bytes));
