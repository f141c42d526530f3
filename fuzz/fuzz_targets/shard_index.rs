//! See `rezarr::fuzzing::shard_index`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rezarr_fuzz::prepare("shard_index"), |data: &[u8]| {
    rezarr::fuzzing::shard_index::check(data);
});
