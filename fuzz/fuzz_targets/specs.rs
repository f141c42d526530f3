//! See `rezarr::fuzzing::specs`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("specs"), |data: &[u8]| {
    rezarr::fuzzing::specs::check(data);
});
