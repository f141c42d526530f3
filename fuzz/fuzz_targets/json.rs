//! See `rezarr::fuzzing::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("json"), |data: &[u8]| {
    rezarr::fuzzing::json::check(data);
});
