//! The API's description beside the router, and beside what a running router answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{Herald, Receiver, config, event};

const DESCRIPTION: &str = include_str!("../docs/openapi.json");

fn description() -> Value {
    serde_json::from_str(DESCRIPTION).unwrap()
}

/// `METHOD path` of every route that `src/api/mod.rs` lists.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../src/api/mod.rs");
    let mut routes = BTreeSet::new();
    for part in source.split(".route(").skip(1) {
        let path = part.split('"').nth(1).unwrap();
        let handlers = part.split('"').nth(2).unwrap();
        let handlers = handlers.split(".merge(").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                routes.insert(format!("{method} {path}"));
            }
        }
    }
    routes
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let description = description();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert(format!("{method} {path}"));
        }
    }
    let routes = routes();
    assert!(routes.len() > 25, "{routes:?}");
    assert_eq!(described, routes);
}

#[test]
fn every_reference_leads_somewhere_and_every_name_is_once() {
    fn walk(value: &Value, whole: &Value, ids: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(to)) = object.get("$ref") {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(whole.pointer(pointer).is_some(), "{to}");
                }
                if let Some(Value::String(id)) = object.get("operationId") {
                    ids.push(id.clone());
                }
                object.values().for_each(|one| walk(one, whole, ids));
            }
            Value::Array(list) => list.iter().for_each(|one| walk(one, whole, ids)),
            _ => {}
        }
    }
    let description = description();
    let mut ids = Vec::new();
    walk(&description, &description, &mut ids);
    let once: BTreeSet<_> = ids.iter().collect();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array();
            let of_path = parameters.into_iter().flatten().filter(|one| {
                let named = one["$ref"].as_str();
                let found = named.and_then(|to| description.pointer(&to[1..]));
                found.unwrap_or(one)["in"] == "path"
            });
            let wanted = path.matches('{').count();
            assert_eq!(of_path.count(), wanted, "{method} {path}");
        }
    }
}

/// Whether every member of an answer is described, and every member that is required is there.
fn fits(answer: &Value, schema: &Value, whole: &Value, place: &str) {
    if let Some(to) = schema["$ref"].as_str() {
        return fits(answer, whole.pointer(&to[1..]).unwrap(), whole, place);
    }
    if let Some(either) = schema["anyOf"].as_array() {
        if !answer.is_null() {
            fits(answer, &either[0], whole, place);
        }
        return;
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(answer), "{place}: {answer}");
    }
    let is = match schema["type"].as_str() {
        None => true,
        Some("object") => answer.is_object(),
        Some("array") => answer.is_array(),
        Some("string") => answer.is_string(),
        Some("integer") => answer.is_i64() || answer.is_u64(),
        Some("boolean") => answer.is_boolean(),
        Some(other) => panic!("{other}"),
    };
    assert!(is, "{place}: {answer} is no {}", schema["type"]);
    for (index, element) in answer.as_array().into_iter().flatten().enumerate() {
        fits(
            element,
            &schema["items"],
            whole,
            &format!("{place}[{index}]"),
        );
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (key, member) in answer.as_object().unwrap() {
        let known = properties.get(key);
        let known = known.unwrap_or_else(|| panic!("{place}.{key} is not described"));
        fits(member, known, whole, &format!("{place}.{key}"));
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        let key = key.as_str().unwrap();
        assert!(answer.get(key).is_some(), "{place}.{key} is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_described() {
    let receiver = Receiver::start(&[503, 200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let (status, served) = herald.get("/openapi.json").await;
    let description = description();
    assert_eq!((status, &served), (200, &description));
    let schema = |path: &str, method: &str, status: &str| {
        let answer = &description["paths"][path][method]["responses"][status];
        let answer = match answer["$ref"].as_str() {
            Some(to) => description.pointer(&to[1..]).unwrap(),
            None => answer,
        };
        let content = answer["content"].as_object().unwrap();
        content.values().next().unwrap()["schema"].clone()
    };
    let (_, taken) = herald.post("/v1/events", event("1")).await;
    fits(
        &taken,
        &schema("/v1/events", "post", "200"),
        &description,
        "results",
    );
    let (_, refused) = herald.post("/v1/events", "{half").await;
    fits(
        &refused,
        &schema("/v1/events", "post", "400"),
        &description,
        "refused",
    );
    herald.until(|totals| totals["delivered"] == 1).await;
    herald
        .command(&["sink", "pause", "runbook", "--why", "x"])
        .await;
    let id = taken["results"][0]["id"].as_str().unwrap();
    let (_, deliveries) = herald.get("/v1/deliveries").await;
    let delivery = deliveries["deliveries"][0]["id"].as_str().unwrap();
    for (path, asked) in [
        ("/v1/events", "/v1/events".to_owned()),
        ("/v1/events/{id}", format!("/v1/events/{id}")),
        ("/v1/deliveries", "/v1/deliveries".to_owned()),
        ("/v1/deliveries/{id}", format!("/v1/deliveries/{delivery}")),
        ("/v1/operations", "/v1/operations".to_owned()),
        ("/v1/refused", "/v1/refused".to_owned()),
        ("/v1/refused/{id}", "/v1/refused/1".to_owned()),
        ("/v1/sinks", "/v1/sinks".to_owned()),
        ("/v1/status", "/v1/status".to_owned()),
    ] {
        let (status, answer) = herald.get(&asked).await;
        assert_eq!(status, 200, "{asked}: {answer}");
        fits(&answer, &schema(path, "get", "200"), &description, path);
    }
    let (status, problem) = herald.get("/v1/events/none").await;
    assert_eq!(status, 404);
    fits(
        &problem,
        &schema("/v1/events/{id}", "get", "404"),
        &description,
        "problem",
    );
    let (_, count) = herald
        .post("/v1/replay", r#"{"sink":"runbook","dryRun":true}"#)
        .await;
    fits(
        &count,
        &schema("/v1/replay", "post", "200"),
        &description,
        "count",
    );
    let (_, sent) = herald.post("/v1/refused/again", "{}").await;
    fits(
        &sent,
        &schema("/v1/refused/again", "post", "200"),
        &description,
        "sent",
    );
}
