//! One ENI event in every shape in which it may come, under whatever id its sender gave it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use serde_json::{Value, json};

/// An account that has opened ENI events.
pub const ACCOUNT: &str = "1234567890123456";

pub const NAME: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

pub fn content() -> Value {
    json!({"eniId": "eni-1", "operation": "AttachNetworkInterface", "eniStatus": "InUse",
           "result": "success", "requestId": "0F0E0D0C-1111-2222-3333-444455556666"})
}

pub fn arn() -> String {
    format!("acs:ecs:cn-hangzhou:{ACCOUNT}:eni/eni-1")
}

pub fn flat(id: &str) -> Value {
    json!({"id": id, "product": "ECS", "resourceId": arn(), "level": "INFO", "name": NAME,
           "userId": ACCOUNT, "eventTime": "20260102T110405.123+0800", "regionId": "cn-hangzhou",
           "content": content()})
}

pub fn webhook(id: &str) -> Value {
    json!({"batchId": "b", "strategyName": "s", "userId": ACCOUNT, "alert": {
        "source": "SYS_EVENT", "eventContentMap": content(), "eventName": NAME, "arn": arn(),
        "product": "ECS", "userId": ACCOUNT,
        "meta": {"sysEventMeta": {"id": id, "level": "INFO", "regionId": "cn-hangzhou"}}}})
}

pub fn cloud_event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "acs.ecs", "type": format!("ecs:{NAME}"),
           "time": "2026-01-02T03:04:05.123Z", "aliyunaccountid": ACCOUNT,
           "aliyunregionid": "cn-hangzhou", "data": content()})
}

pub fn pull(id: &str) -> Value {
    let inner = json!([{"name": NAME, "content": content().to_string()}]).to_string();
    json!({"SystemEvents": {"SystemEvent": [{"Id": id, "Product": "ECS", "Name": NAME,
           "ResourceId": arn(), "Level": "INFO", "Time": 1_767_323_045_123_u64, "Content": inner}]}})
}

pub fn operation() -> Value {
    json!({"operation": "AttachNetworkInterface", "regionId": "cn-hangzhou", "userId": ACCOUNT,
           "requestId": "0F0E0D0C-1111-2222-3333-444455556666", "error": null, "result": "success",
           "networkInterface": {"NetworkInterfaceId": "eni-1", "Type": "Secondary", "Status": "InUse"}})
}
