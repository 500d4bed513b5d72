//! Any bytes as operation results, tested by the trigger.
#![no_main]

use herald::intake::{self, Framing, Limits};
use herald::trigger::{Triggered, trigger};
use herald_model::ids::EventId;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

fuzz_target!(|bytes: &[u8]| {
    for item in intake::items(bytes, Framing::Document, Limits::default()) {
        let Ok(item) = item else { continue };
        let Ok(result) = intake::decode_operation(&item.value) else {
            continue;
        };
        if let Ok(Triggered::Event(draft)) = trigger(&result, &item.value, |_| true) {
            let sealed = draft.seal(
                EventId::from_uuid(Uuid::nil()),
                "fuzz",
                Timestamp::UNIX_EPOCH,
            );
            assert!(sealed.event.eni.is_some());
            assert!(sealed.event.sender_id.is_some());
        }
    }
});
