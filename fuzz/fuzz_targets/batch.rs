#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fanfare_fuzz_entry::run("batch", bytes);
});
