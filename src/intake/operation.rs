//! Reading an operation result.

use herald_model::operation::{Interface, OperationResult};
use herald_rules::json::{Object, Value};

use super::field::text;
use super::{Refusal, flat};

/// Reads one operation result. Fields may be missing (the trigger says which ones must not), but
/// what is there must be of its type.
///
/// # Errors
/// Names the first field of a wrong type.
pub fn decode(value: &Value) -> Result<OperationResult, Refusal> {
    let Some(object) = value.as_object() else {
        return Err(Refusal::whole("an operation result must be a JSON object"));
    };
    let text = |key: &'static str| text(object, key, key);
    let initiator = object.get("initiator").filter(|value| !value.is_null());
    Ok(OperationResult {
        operation: text("operation")?,
        request_id: text("requestId")?,
        region_id: text("regionId")?,
        user_id: text("userId")?,
        time: text("time")?,
        initiator: initiator.map(flat::initiator).transpose()?,
        error: object
            .get("error")
            .filter(|error| !error.is_null())
            .map(Value::to_string),
        result: text("result")?,
        interface: interface(object)?,
    })
}

fn interface(object: &Object) -> Result<Interface, Refusal> {
    let interface = match object.get("networkInterface") {
        None | Some(Value::Null) => return Ok(Interface::default()),
        Some(Value::Object(interface)) => interface,
        Some(_) => return Err(Refusal::field("networkInterface", "must be an object")),
    };
    let service_managed = match interface.get("ServiceManaged") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(managed)) => *managed,
        Some(_) => {
            return Err(Refusal::field(
                "networkInterface.ServiceManaged",
                "must be true or false",
            ));
        }
    };
    // The API's type is a number; its text is an id all the same.
    let service_id = match interface.get("ServiceID") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.as_str().to_owned()),
        Some(_) => {
            return Err(Refusal::field(
                "networkInterface.ServiceID",
                "must be a number or a string",
            ));
        }
    };
    Ok(Interface {
        id: text(
            interface,
            "NetworkInterfaceId",
            "networkInterface.NetworkInterfaceId",
        )?,
        kind: text(interface, "Type", "networkInterface.Type")?,
        status: text(interface, "Status", "networkInterface.Status")?,
        service_managed,
        service_id: service_id.filter(|id| !id.is_empty() && id != "0"),
    })
}
