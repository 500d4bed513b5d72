//! The trigger conditions: whether an operation result becomes an event, and which.
//!
//! A plain function of its arguments. Events that the cloud has sent already met the conditions
//! and never come through here.

use herald_model::event::{ENI_OPERATION_EVENT, EniOperation, OperationOutcome};
use herald_model::ids::derive_uuid;
use herald_model::operation::{NotTriggered, OperationResult};
use herald_rules::json::{Object, Value};

use crate::intake::{Draft, Refusal, eni_identity};

#[cfg(test)]
mod tests;

/// Name of this shape in `intake.format`.
const FORMAT: &str = "operation";

/// What becomes of an operation result.
#[derive(Debug, Clone, PartialEq)]
pub enum Triggered {
    /// An event.
    Event(Box<Draft>),
    /// Nothing, and that is right; the reason is the answer's.
    Nothing(NotTriggered),
}

/// Tests the conditions in the order of the contract. `announces` says whether an account has
/// opened the feature (`eni_events = true`); `as_sent` is the operation result as it came, for the
/// interface's attributes.
///
/// A field is missed only where a condition needs it: a refused call to create an ENI names none.
///
/// # Errors
/// A field that must be there is missing; it is named.
pub fn trigger(
    result: &OperationResult,
    as_sent: &Value,
    announces: impl Fn(&str) -> bool,
) -> Result<Triggered, Refusal> {
    let operation = needed(result.operation.as_deref(), "operation")?;
    if matches!(EniOperation::from(operation), EniOperation::Other(_)) {
        return Ok(Triggered::Nothing(NotTriggered::UnknownOperation));
    }
    let user = result.user_id.as_deref().unwrap_or_default();
    if !announces(user) {
        return Ok(Triggered::Nothing(NotTriggered::FeatureDisabled));
    }
    match needed(result.interface.kind.as_deref(), "networkInterface.Type")? {
        "Secondary" => {}
        "Primary" => return Ok(Triggered::Nothing(NotTriggered::PrimaryEni)),
        _ => return Ok(Triggered::Nothing(NotTriggered::NotSecondary)),
    }
    let request = needed(result.request_id.as_deref(), "requestId")?;
    if result.error.is_some() {
        return Ok(Triggered::Nothing(NotTriggered::RequestRefused));
    }
    let outcome = needed(result.result.as_deref(), "result")?;
    let eni = needed(
        result.interface.id.as_deref(),
        "networkInterface.NetworkInterfaceId",
    )?;
    let identity = eni_identity(user, eni, operation, request, outcome);
    Ok(Triggered::Event(Box::new(draft(result, as_sent, identity))))
}

fn needed<'a>(field: Option<&'a str>, name: &str) -> Result<&'a str, Refusal> {
    field.ok_or_else(|| Refusal::field(name, "is missing"))
}

fn draft(result: &OperationResult, as_sent: &Value, identity: [&str; 6]) -> Draft {
    let [_, user, eni, operation, request, outcome] = identity;
    let region = result.region_id.as_deref().unwrap_or_default();
    let mut content = Object::new();
    content.insert("eniId", eni);
    content.insert("operation", operation);
    if let Some(status) = result.interface.status.as_deref() {
        content.insert("eniStatus", status);
    }
    content.insert("result", outcome);
    content.insert("requestId", request);

    let mut fields = Object::new();
    fields.insert("ver", "1.0");
    fields.insert("id", derive_uuid(&identity).to_string());
    fields.insert("product", "ECS");
    fields.insert("resourceId", format!("acs:ecs:{region}:{user}:eni/{eni}"));
    fields.insert("level", OperationOutcome::from(outcome).level().as_str());
    fields.insert("name", ENI_OPERATION_EVENT);
    fields.insert("userId", user);
    if let Some(time) = result.time.as_deref() {
        fields.insert("eventTime", time);
    }
    fields.insert("regionId", region);
    fields.insert("content", content);
    if let Some(interface) = as_sent.get("networkInterface") {
        fields.insert("networkInterface", interface.clone());
    }

    let mut draft = Draft::new(fields, FORMAT);
    draft.initiator.clone_from(&result.initiator);
    if result.interface.service_managed {
        let service = result.interface.service_id.as_deref().unwrap_or("unknown");
        draft.owner_service = Some(service.to_owned());
    }
    draft
}
