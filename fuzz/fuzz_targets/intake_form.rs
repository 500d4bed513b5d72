//! Any bytes as a form or a query.
#![no_main]

use herald::intake::Framing;
use libfuzzer_sys::fuzz_target;

mod intake;

fuzz_target!(|bytes: &[u8]| intake::body(bytes, Framing::Form));
