//! Any bytes as a body: one document, or one a line. Base64 of JSON is among them.
#![no_main]

use herald::intake::Framing;
use libfuzzer_sys::fuzz_target;

mod intake;

fuzz_target!(|bytes: &[u8]| {
    intake::body(bytes, Framing::Document);
    intake::body(bytes, Framing::Lines);
});
