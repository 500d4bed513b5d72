//! What the demo sends.

/// An ENI notification as CloudMonitor forwards it: an attach that succeeded.
pub(super) const ATTACHED: &str = r#"{
  "ver": "1.0",
  "id": "7C1D2E90-5A44-4B1E-9A33-0F5B6B2C11D4",
  "product": "ECS",
  "resourceId": "acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n",
  "level": "INFO",
  "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
  "userId": "1690700000000030",
  "eventTime": "20190409T121826.922+0800",
  "regionId": "cn-hangzhou",
  "content": {
    "eniId": "eni-8vb1qo0000000cdeg2n",
    "operation": "AttachNetworkInterface",
    "eniStatus": "InUse",
    "result": "success",
    "requestId": "59701492-0000-4000-8000-000000000001"
  }
}"#;

/// An operation result: an attach that was accepted and failed.
pub(super) const ATTACH_FAILED: &str = r#"{
  "operation": "AttachNetworkInterface",
  "requestId": "59701492-0000-4000-8000-000000000002",
  "regionId": "cn-hangzhou",
  "userId": "1690700000000030",
  "time": "20190409T121931.104+0800",
  "initiator": { "kind": "user", "id": "1690700000000030" },
  "error": null,
  "result": "failed",
  "networkInterface": {
    "NetworkInterfaceId": "eni-8vb1qo0000000cdeg3p",
    "Type": "Secondary",
    "Status": "Available",
    "ServiceManaged": false
  }
}"#;

/// An operation result on a primary ENI: must trigger nothing.
pub(super) const PRIMARY: &str = r#"{
  "operation": "DeleteNetworkInterface",
  "requestId": "59701492-0000-4000-8000-000000000003",
  "regionId": "cn-hangzhou",
  "userId": "1690700000000030",
  "time": "20190409T122012.000+0800",
  "error": null,
  "result": "success",
  "networkInterface": { "NetworkInterfaceId": "eni-8vb1qo0000000primary", "Type": "Primary", "Status": "InUse" }
}"#;

/// A call that was refused because the instance has its full number of ENIs: must trigger nothing.
pub(super) const REFUSED: &str = r#"{
  "operation": "AttachNetworkInterface",
  "requestId": "59701492-0000-4000-8000-000000000004",
  "regionId": "cn-hangzhou",
  "userId": "1690700000000030",
  "time": "20190409T122140.500+0800",
  "error": "EniPerInstanceLimitExceeded",
  "result": null,
  "networkInterface": { "NetworkInterfaceId": "eni-8vb1qo0000000cdeg4q", "Type": "Secondary", "Status": "Available" }
}"#;
