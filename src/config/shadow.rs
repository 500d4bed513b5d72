//! Subscriptions that add nothing: those that can never match, and those that repeat another.

use std::collections::HashMap;
use std::ops::Range;

use herald_model::event::Form;
use herald_model::settings::Reading;
use herald_rules::Pattern;

use super::subscription::Subscription;

/// Warns of each. `subscriptions` stand in the file's order, each with the place of its condition.
pub(super) fn warn(reading: &Reading<'_>, subscriptions: &[(&Subscription, Range<usize>)]) {
    let mut seen: HashMap<(Option<String>, Form, String), &Subscription> = HashMap::new();
    for (subscription, span) in subscriptions {
        let pattern = subscription.pattern.as_ref();
        if pattern.is_some_and(Pattern::never_matches) {
            let name = subscription.name.escape_debug();
            reading.warning(
                span.clone(),
                format!("subscription `{name}` can never match: its conditions exclude each other"),
            );
            continue;
        }
        let normal = pattern.map(Pattern::normal);
        let key = (normal, subscription.form, subscription.owner.to_string());
        match seen.get(&key) {
            None => {
                seen.insert(key, subscription);
            }
            // One name twice is a mistake of its own.
            Some(earlier)
                if subscription.name != earlier.name
                    && subscription.to.iter().all(|sink| earlier.to.contains(sink)) =>
            {
                reading.warning(
                    span.clone(),
                    format!(
                        "subscription `{}` repeats `{}`: the same events go to the same sinks twice; \
                         remove one",
                        subscription.name.escape_debug(),
                        earlier.name.escape_debug()
                    ),
                );
            }
            Some(_) => {}
        }
    }
}
