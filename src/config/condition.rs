//! The condition of a subscription: `when` as TOML, or `pattern` as JSON.

use std::ops::Range;

use herald_model::event::Form;
use herald_model::settings::Table;
use herald_rules::Pattern;
use toml::de::DeValue;

use super::fields;
use super::reading::File;

/// A mistake was reported.
pub(super) struct Reported;

/// Reads the condition; `None` where neither key is written: every event.
pub(super) fn read<'t>(
    file: &File<'t>,
    table: &Table<'t>,
    form: Form,
) -> Result<Option<Pattern>, Reported> {
    table.note("when", None);
    let when = table.raw("when");
    let json = table.text("pattern").optional();
    let written = |key: &str| table.names().any(|name| name == key);
    if written("when") && written("pattern") {
        table.reading().mistake(
            table.span_of("pattern"),
            "`subscription.pattern`: `when` says the same in TOML; keep one of them",
        );
        return Err(Reported);
    }
    let (pattern, place) = match (when, json) {
        (Some(when), _) => {
            let DeValue::Table(entries) = when.get_ref() else {
                table.reading().mistake(
                    when.span(),
                    "`subscription.when`: must be a table that looks like the event, as in \
                     when = { level = \"WARN\" }; JSON text goes under `pattern`",
                );
                return Err(Reported);
            };
            (Pattern::from_toml(entries), Place::Toml(when.span()))
        }
        (None, Some(json)) => {
            let span = table.span_of("pattern");
            let verbatim = file.text.get(span.clone()).and_then(|raw| raw.find(&json));
            let place = Place::Json {
                start: verbatim.map(|at| span.start + at),
                span,
            };
            (Pattern::from_json(&json), place)
        }
        (None, None) if written("pattern") => return Err(Reported),
        (None, None) => return Ok(None),
    };
    let key = place.key();
    match pattern {
        Ok(pattern) => {
            let place = |span: &Range<usize>| place.of(span);
            let sound = match form {
                Form::Canonical => fields::check(table.reading(), pattern.fields(), place),
                Form::CloudEvents => {
                    fields::check_cloud_event(table.reading(), pattern.fields(), place);
                    true
                }
            };
            if sound {
                Ok(Some(pattern))
            } else {
                Err(Reported)
            }
        }
        Err(mistakes) => {
            if let (Form::Canonical, Some(DeValue::Table(entries))) =
                (form, when.map(toml::Spanned::get_ref))
            {
                // The fields of a pattern with a mistake are not known, but these are in sight.
                for key in entries.keys() {
                    if let Some(text) = fields::foreign(key.get_ref()) {
                        table.reading().mistake(key.span(), text);
                    }
                }
            }
            for mistake in mistakes {
                let what = match place {
                    Place::Toml(_) => mistake.reason.clone(),
                    Place::Json { start: Some(_), .. } => mistake.to_string(),
                    Place::Json { start: None, .. } => {
                        format!("{mistake} (at byte {} of the JSON)", mistake.span.start)
                    }
                };
                let text = format!("`subscription.{key}`: {what}");
                table.reading().mistake(place.of(&mistake.span), text);
            }
            Err(Reported)
        }
    }
}

/// Where a pattern stands in the file.
enum Place {
    /// Its spans are the file's.
    Toml(Range<usize>),
    /// Its spans count from `start`; where the text was written with escapes, only `span`, the
    /// whole value, is known.
    Json {
        start: Option<usize>,
        span: Range<usize>,
    },
}

impl Place {
    fn key(&self) -> &'static str {
        match self {
            Self::Toml(_) => "when",
            Self::Json { .. } => "pattern",
        }
    }

    fn of(&self, span: &Range<usize>) -> Range<usize> {
        match self {
            // The table itself is at fault.
            Self::Toml(table) if *span == (0..0) => table.clone(),
            Self::Toml(_) => span.clone(),
            Self::Json {
                start: Some(start), ..
            } => start + span.start..start + span.end,
            Self::Json { span: whole, .. } => whole.clone(),
        }
    }
}
