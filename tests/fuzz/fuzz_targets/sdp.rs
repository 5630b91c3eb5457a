#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| threadline::sip::sdp::exercise(data));
