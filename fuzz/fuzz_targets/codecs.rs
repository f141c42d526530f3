//! See `rezarr::fuzzing::codecs`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("codecs"), |data: &[u8]| {
    rezarr::fuzzing::codecs::check(data);
});
