#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    secondo_fuzz::stored::judge_pages(input);
});
