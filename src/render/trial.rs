//! A template tried before it is needed: what it names, and what it makes of events of each kind.

use std::sync::Arc;

use herald_model::{DeliveryId, EventId, Item, Language};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::{ErrorKind, UndefinedBehavior};
use uuid::Uuid;

use super::facts::Setting;
use super::template::{Context, Part, TemplateError, environment, rendered};
use crate::intake::{self, Framing, Limits};

/// Events of each kind: an operation that succeeded, one that failed, and one that is no ENI's.
const SAMPLES: [&str; 3] = [
    r#"{"id":"1","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-1","level":"INFO","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-1","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"r-1"}}"#,
    r#"{"id":"2","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-2","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-2","operation":"DetachNetworkInterface","eniStatus":"Detaching","result":"failed","requestId":"r-2"}}"#,
    r#"{"id":"3","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:instance/i-1","level":"CRITICAL","name":"Instance:SystemFailure.Reboot:Executing","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"instanceId":"i-1","eventId":"e-1"}}"#,
];

/// A template that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What it names that it does not define itself, as `event.content.eniId`, each with the line
    /// where it stands first, from 1. In the order of the names.
    pub names: Vec<(String, usize)>,
    /// What went wrong on an event of some kind, though not on every one; `None` where nothing did.
    /// Fields that an event lacks count for nothing here: which events come is not known.
    pub fails: Option<TemplateError>,
}

/// Compiles the template `source` of `part` and has it tell events of each kind, one by one and all
/// in one message.
///
/// # Errors
/// It does not compile, or can never be rendered: an unknown filter, too much work, too much text.
pub fn try_out(part: Part, source: &str) -> Result<Tried, TemplateError> {
    let mut environment = environment();
    // A field that is missing is told apart from a template that is wrong.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let template = environment
        .template_from_named_str(part.key(), source)
        .map_err(|error| TemplateError::of(part, &error))?;
    let mut names: Vec<(String, usize)> = template
        .undeclared_variables(true)
        .into_iter()
        .map(|name| (line_of(source, &name), name))
        .map(|(line, name)| (name, line))
        .collect();
    names.sort_unstable();
    let setting = Setting {
        language: Language::En,
        time_zone: TimeZone::UTC,
        console_url: Some("https://herald.example.com".to_owned()),
    };
    let items = samples();
    let singly = items.iter().map(std::slice::from_ref);
    let mut fails = None;
    for items in singly.chain([items.as_slice()]) {
        let context = Context {
            items,
            setting: &setting,
        };
        match rendered(part, &template, &context) {
            Ok(_) => {}
            Err((error, kind)) if is_for_good(kind) => return Err(error),
            Err((error, _)) => fails = Some(error),
        }
    }
    Ok(Tried { names, fails })
}

/// Whether no event could change it.
fn is_for_good(kind: Option<ErrorKind>) -> bool {
    match kind {
        // The text was too long.
        None => true,
        Some(kind) => matches!(
            kind,
            ErrorKind::SyntaxError
                | ErrorKind::TemplateNotFound
                | ErrorKind::TooManyArguments
                | ErrorKind::MissingArgument
                | ErrorKind::UnknownFilter
                | ErrorKind::UnknownTest
                | ErrorKind::UnknownFunction
                | ErrorKind::UnknownMethod
                | ErrorKind::OutOfFuel
        ),
    }
}

/// The line on which a name stands first; 1 where it is written in another way.
fn line_of(source: &str, name: &str) -> usize {
    let before = source.find(name).and_then(|at| source.get(..at));
    1 + before.map_or(0, |before| before.matches('\n').count())
}

fn samples() -> Vec<Item> {
    let sample = |(body, number): (&&str, u128)| {
        let received = intake::items(body.as_bytes(), Framing::Document, Limits::default());
        let received = received.into_iter().next()?.ok()?;
        let id = EventId::from_uuid(Uuid::from_u128(number));
        let draft = intake::decode(&received.value, false, None).ok()?;
        Some(Item {
            delivery: DeliveryId::derive(id, "failed operations", "ops"),
            subscription: Arc::from("failed operations"),
            event: Arc::new(draft.seal(id, "sample", Timestamp::UNIX_EPOCH).event),
        })
    };
    SAMPLES.iter().zip(1..).filter_map(sample).collect()
}
