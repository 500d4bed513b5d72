//! An event written as a TOML table, as JSON.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The table as compact JSON, or the bytes of a value that JSON does not have: a date, an infinite
/// number. Numbers keep their digits.
pub(super) fn from_toml(table: &DeTable<'_>) -> Result<String, Range<usize>> {
    let mut out = String::new();
    object(table, &mut out)?;
    Ok(out)
}

// Recursion is bounded: the TOML parser refuses deep nesting.
fn object(table: &DeTable<'_>, out: &mut String) -> Result<(), Range<usize>> {
    out.push('{');
    for (index, (key, value)) in table.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(key.get_ref(), out);
        out.push(':');
        write(value, out)?;
    }
    out.push('}');
    Ok(())
}

fn write(value: &Spanned<DeValue<'_>>, out: &mut String) -> Result<(), Range<usize>> {
    match value.get_ref() {
        DeValue::String(text) => string(text, out),
        DeValue::Boolean(flag) => out.push_str(if *flag { "true" } else { "false" }),
        DeValue::Integer(integer) => {
            let number = i128::from_str_radix(integer.as_str(), integer.radix());
            out.push_str(&number.map_err(|_| value.span())?.to_string());
        }
        DeValue::Float(float) => {
            let digits = float.as_str().trim_start_matches('+');
            if digits.contains(['n', 'N']) {
                return Err(value.span());
            }
            out.push_str(digits);
        }
        DeValue::Datetime(_) => return Err(value.span()),
        DeValue::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        DeValue::Table(table) => object(table, out)?,
    }
    Ok(())
}

fn string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_json_has_is_written() {
        let toml = "a = 'x\"y'\nb = [1, 0xff, -1_000, +1.5e3]\nc.d = true\nc.e = []";
        let table = DeTable::parse(toml).unwrap();
        assert_eq!(
            from_toml(table.get_ref()).as_deref(),
            Ok(r#"{"a":"x\"y","b":[1,255,-1000,1.5e3],"c":{"d":true,"e":[]}}"#)
        );
    }

    #[test]
    fn what_json_lacks_is_refused_with_its_place() {
        for value in ["inf", "-nan", "1979-05-27"] {
            let toml = format!("a.b = [{value}]");
            let table = DeTable::parse(&toml).unwrap();
            let span = from_toml(table.get_ref()).unwrap_err();
            assert_eq!(&toml[span], value);
        }
    }
}
