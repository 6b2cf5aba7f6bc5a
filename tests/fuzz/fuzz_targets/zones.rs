#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| secondo_fuzz::grown::judge_lawful(input));
