//! `${env:…}` and `${file:…}` inside string values.

use super::reading::Reading;

/// Why a text could not be had.
pub(super) enum Unresolved {
    /// Wrong in itself; the words say what to do.
    Wrong(String),
    /// A variable is not set on this machine, or a file is not there.
    Unset(String),
}

/// Replaces every reference; `$$` stands for a dollar sign.
pub(super) fn resolve(text: &str, reading: &Reading<'_>) -> Result<String, Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = tail.strip_prefix('{') {
            let Some(end) = after.find('}') else {
                return Err(Unresolved::Wrong(
                    "`${` is not closed; write `${env:NAME}` or `${file:PATH}`, or `$$` for a dollar sign"
                        .to_owned(),
                ));
            };
            out.push_str(&lookup(&after[..end], reading)?);
            rest = &after[end + 1..];
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn lookup(reference: &str, reading: &Reading<'_>) -> Result<String, Unresolved> {
    match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() => {
            reading.environment().variable(name).ok_or_else(|| {
                Unresolved::Unset(format!("environment variable `{name}` is not set; set it"))
            })
        }
        Some(("file", path)) if !path.is_empty() => {
            let path = reading.resolve(path);
            reading
                .environment()
                .file(&path)
                .map(|content| content.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|why| Unresolved::Unset(format!("cannot read {}: {why}", path.display())))
        }
        _ => Err(Unresolved::Wrong(format!(
            "`${{{reference}}}` is not understood; write `${{env:NAME}}` or `${{file:PATH}}`"
        ))),
    }
}
