//! See `rezarr::fuzzing::metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("metadata"), |data: &[u8]| {
    rezarr::fuzzing::metadata::check(data);
});
