//! See `rezarr::fuzzing::zip`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("zip"), |data: &[u8]| {
    rezarr::fuzzing::zip::check(data);
});
