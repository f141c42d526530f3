//! See `rezarr::fuzzing::store`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("store"), |data: &[u8]| {
    rezarr::fuzzing::store::check(data);
});
