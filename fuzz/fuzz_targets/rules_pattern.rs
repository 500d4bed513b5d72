//! Any text is a pattern or a list of mistakes with places in it; a pattern survives being written
//! down.
#![no_main]

use herald_rules::{Mistake, Pattern};
use libfuzzer_sys::fuzz_target;

fn check(text: &str, read: Result<Pattern, Vec<Mistake>>) {
    match read {
        Ok(pattern) => {
            let canonical = pattern.to_json();
            let again = Pattern::from_json(&canonical).expect("canonical text is a pattern");
            assert_eq!(again, pattern);
            assert_eq!(again.to_json(), canonical);
            assert_eq!(again.cost(), pattern.cost());
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(text.get(mistake.span).is_some(), "{text}");
            }
        }
    }
}

fuzz_target!(|text: &str| {
    check(text, Pattern::from_json(text));
    if let Ok(table) = toml::de::DeTable::parse(text) {
        check(text, Pattern::from_toml(table.get_ref()));
    }
});
