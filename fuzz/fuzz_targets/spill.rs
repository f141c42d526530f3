//! See `rezarr::fuzzing::spill`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("spill"), |data: &[u8]| {
    rezarr::fuzzing::spill::check(data);
});
