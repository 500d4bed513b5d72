//! What a far side saw under each key.

use std::collections::HashMap;

use herald_model::{DeliveryId, MessageId, Notification, Rendered};

use crate::model::{Held, holds};

struct Key {
    members: Vec<DeliveryId>,
    rendered: Rendered,
    may_have_arrived: bool,
    in_attempt: bool,
}

/// All keys that were ever seen.
#[derive(Default)]
pub(crate) struct Keys(HashMap<MessageId, Key>);

impl Keys {
    /// D5: the same members each time, and once it may have arrived, the same text.
    pub(crate) fn received(&mut self, notification: &Notification) -> Held {
        let message = notification.message;
        let members = || notification.items.iter().map(|item| item.delivery);
        let key = self.0.entry(message).or_insert_with(|| Key {
            members: members().collect(),
            rendered: notification.rendered.clone(),
            may_have_arrived: false,
            in_attempt: true,
        });
        key.in_attempt = true;
        holds(members().eq(key.members.iter().copied()), || {
            format!("D5 members: {message} came with others than before")
        })?;
        if key.rendered != notification.rendered {
            holds(!key.may_have_arrived, || {
                format!("D5 text: {message} came with another text after an unknown")
            })?;
            key.rendered = notification.rendered.clone();
        }
        Ok(())
    }

    /// The attempt is over; what it may have left with the far side must not change any more.
    pub(crate) fn ended(&mut self, message: MessageId, is_unknown: bool) {
        if let Some(key) = self.0.get_mut(&message) {
            key.may_have_arrived |= key.in_attempt && is_unknown;
            key.in_attempt = false;
        }
    }
}
