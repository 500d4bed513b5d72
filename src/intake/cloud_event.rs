//! CloudEvents 1.0 as EventBridge sends them (CloudEvents 1.0.2; Alibaba Cloud, EventBridge, "Event
//! overview" and "ECS events").
//!
//! `data` is the event's content and no more, so product, name, level and resource are derived from
//! the attributes. These are kept under their own names; of `time`, the one stricter rule of the
//! standard is not held: the vendor prints times that are not RFC 3339.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_model::event::{ENI_OPERATION_EVENT, Level, OperationOutcome};
use herald_rules::json::{Object, Value};

use super::{Draft, Refusal, field, shorten};

/// Name of this shape in `intake.format`.
pub(super) const FORMAT: &str = "cloudevents";

/// Fields of the canonical form; an extension attribute of the same name does not pass for one.
const CANONICAL: [&str; 10] = [
    "ver",
    "id",
    "product",
    "resourceId",
    "level",
    "name",
    "userId",
    "eventTime",
    "regionId",
    "content",
];

/// Whether an object has this shape.
pub(super) fn is_it(object: &Object) -> bool {
    object.contains_key("specversion")
}

/// Reads one event in the JSON format.
pub(super) fn decode(object: &Object) -> Result<Draft, Refusal> {
    check_version(object)?;
    for (key, value) in object.iter() {
        check_attribute(key, value)?;
    }
    let id = needed(object, "id")?;
    let source = needed(object, "source")?;
    let kind = needed(object, "type")?;
    let data = data(object)?;
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let of_data = |key: &str| data.content.as_ref()?.get(key)?.as_str();

    let product = product(source);
    let name = name(kind, product);
    let user = text("aliyunaccountid");
    let region = text("aliyunregionid");
    let resource = resource(of_data("eniId"), of_data("resourceId"), object);

    let mut fields = Object::new();
    fields.insert("id", id);
    fields.insert("product", product);
    field::set(&mut fields, "resourceId", resource);
    fields.insert("level", level(name, of_data).as_str());
    fields.insert("name", name);
    field::set(&mut fields, "userId", user);
    field::set(&mut fields, "eventTime", text("time"));
    field::set(&mut fields, "regionId", region);
    field::set(&mut fields, "content", data.content.clone());
    let is_read = |key: &str| {
        matches!(key, "time" | "data")
            || CANONICAL.contains(&key)
            || (key == "data_base64" && data.content.is_some())
    };
    let rest = object
        .iter()
        .filter(|(key, value)| !is_read(key) && !value.is_null())
        .map(|(key, value)| (key.to_owned(), value.clone()));
    let mut fields = field::with_rest(fields, rest);
    field::tidy(&mut fields);
    let mut draft = Draft::new(fields, FORMAT);
    draft.duplicate_keys = data.duplicate_keys;
    draft.issuer = Some(source.to_owned());
    Ok(draft)
}

fn check_version(object: &Object) -> Result<(), Refusal> {
    match object.get("specversion") {
        Some(Value::String(version)) if version == "1.0" => Ok(()),
        Some(Value::String(version)) => Err(Refusal::field(
            "specversion",
            &format!("is `{}`; Herald reads CloudEvents `1.0`", shorten(version)),
        )),
        _ => Err(Refusal::field("specversion", "must be the string `1.0`")),
    }
}

/// CloudEvents 1.0.2, "Naming conventions" and "Type system": lower-case letters and digits;
/// strings, booleans and whole numbers of 32 bits. Null counts as left out.
fn check_attribute(key: &str, value: &Value) -> Result<(), Refusal> {
    if matches!(key, "data" | "data_base64") {
        return Ok(());
    }
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if key.is_empty() || !key.bytes().all(is_name) {
        return Err(Refusal::field(
            &shorten(key),
            "is no name of a CloudEvents attribute: lower-case letters and digits only",
        ));
    }
    let is_core = matches!(
        key,
        "id" | "source" | "type" | "subject" | "time" | "datacontenttype" | "dataschema"
    );
    let is_sound = match value {
        Value::String(text) => !is_core || !text.is_empty(),
        Value::Bool(_) => !is_core,
        Value::Number(number) => !is_core && number.as_str().parse::<i32>().is_ok(),
        Value::Null => true,
        Value::Array(_) | Value::Object(_) => false,
    };
    let expected = if is_core {
        "must be a string that is not empty"
    } else {
        "must be a string, a boolean or a whole number of 32 bits"
    };
    is_sound
        .then_some(())
        .ok_or_else(|| Refusal::field(&shorten(key), expected))
}

fn needed<'a>(object: &'a Object, key: &str) -> Result<&'a str, Refusal> {
    object
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::field(key, "is missing; every CloudEvent has it"))
}

/// What an event carries.
struct Data {
    /// The content; `None` where there is none, or where it is bytes that only `data_base64` holds.
    content: Option<Value>,
    duplicate_keys: bool,
}

/// `data`, or what `data_base64` holds if that is a JSON document by its type (JSON is what a
/// missing `datacontenttype` means) or the text that its type says.
fn data(object: &Object) -> Result<Data, Refusal> {
    let given = |key: &str| object.get(key).filter(|value| !value.is_null());
    let whole = |content: Option<&Value>| Data {
        content: content.cloned(),
        duplicate_keys: false,
    };
    let packed = match (given("data"), given("data_base64")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::field(
                "data_base64",
                "must not stand beside `data`",
            ));
        }
        (data, None) => return Ok(whole(data)),
        (None, Some(Value::String(packed))) => packed,
        (None, Some(_)) => return Err(Refusal::field("data_base64", "must be a string")),
    };
    let bytes = STANDARD
        .decode(packed)
        .map_err(|_| Refusal::field("data_base64", "is not Base64 (RFC 4648, section 4)"))?;
    let media = object.get("datacontenttype").and_then(Value::as_str);
    let text = String::from_utf8(bytes).ok();
    let json = text
        .as_deref()
        .filter(|_| media.is_none_or(is_json))
        .and_then(field::json_text);
    Ok(match (json, text) {
        (Some((content, duplicate_keys)), _) => Data {
            content: Some(content),
            duplicate_keys,
        },
        (None, Some(text)) if media.is_some_and(is_text) => whole(Some(&text.into())),
        _ => whole(None),
    })
}

/// Whether a media type is JSON: `application/json`, `…+json`.
pub(super) fn is_json(media: &str) -> bool {
    let essence = essence(media);
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Whether a media type is readable text.
pub(super) fn is_text(media: &str) -> bool {
    let essence = essence(media);
    essence.starts_with("text/") || essence.ends_with("/xml") || essence.ends_with("+xml")
}

fn essence(media: &str) -> String {
    let essence = media.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// `acs.ecs` and `acs:ecs` are `ecs`; any other source stands for itself.
fn product(source: &str) -> &str {
    let service = source
        .strip_prefix("acs.")
        .or_else(|| source.strip_prefix("acs:"));
    service.filter(|name| !name.is_empty()).unwrap_or(source)
}

/// The type without its first segment, where that is the product.
fn name<'a>(kind: &'a str, product: &str) -> &'a str {
    match kind.split_once(':') {
        Some((first, rest)) if first.eq_ignore_ascii_case(product) && !rest.is_empty() => rest,
        _ => kind,
    }
}

/// How the operation ended; else the level that the content itself names, as events of block
/// storage do (Alibaba Cloud, EventBridge, "EBS events").
fn level<'a>(name: &str, of_data: impl Fn(&str) -> Option<&'a str>) -> Level {
    let result = of_data("result");
    match result {
        Some(result) if name == ENI_OPERATION_EVENT => OperationOutcome::from(result).level(),
        Some("failed") => Level::Warn,
        _ => of_data("eventLevel")
            .and_then(Level::named)
            .unwrap_or_default(),
    }
}

/// The resource's ARN: of the ENI that the content names, else the content's own, else what
/// `subject` says. The subject of ENI events is nowhere documented, so it does not count for them.
fn resource(eni: Option<&str>, own: Option<&str>, object: &Object) -> Option<String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    if let Some(eni) = eni {
        let region = text("aliyunregionid").unwrap_or_default();
        let user = text("aliyunaccountid").unwrap_or_default();
        return Some(format!("acs:ecs:{region}:{user}:eni/{eni}"));
    }
    if let Some(own) = own.filter(|own| field::is_arn(own)) {
        return Some(own.to_owned());
    }
    let subject = text("subject")?;
    match subject.strip_prefix("acs.") {
        Some(rest) => Some(format!("acs:{rest}")),
        None => subject.starts_with("acs:").then(|| subject.to_owned()),
    }
}

#[cfg(test)]
mod tests;
