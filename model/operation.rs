//! The operation result: what the cloud's control plane knows about one finished ENI operation.

use crate::event::Addressee;

/// One finished ENI operation, before the trigger conditions are tested on it.
///
/// Every field is optional in what a sender writes; which ones must be there is for the trigger to
/// say, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationResult {
    /// `operation`, such as `AttachNetworkInterface`.
    pub operation: Option<String>,
    /// `requestId` of the API call.
    pub request_id: Option<String>,
    /// `regionId`.
    pub region_id: Option<String>,
    /// `userId`: the account.
    pub user_id: Option<String>,
    /// `time`, as written.
    pub time: Option<String>,
    /// Who asked for the operation, where that is known.
    pub initiator: Option<Addressee>,
    /// Why the call was refused; `None` where it was accepted.
    pub error: Option<String>,
    /// How an accepted call ended.
    pub result: Option<String>,
    /// The interface it was about.
    pub interface: Interface,
}

/// What the trigger reads of `DescribeNetworkInterfaces` attributes; the others stay in the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// `NetworkInterfaceId`.
    pub id: Option<String>,
    /// `Type`: `Primary`, `Secondary`, `Trunk`, `Member`.
    pub kind: Option<String>,
    /// `Status`.
    pub status: Option<String>,
    /// `ServiceManaged`: an Alibaba Cloud service made it and owns it.
    pub service_managed: bool,
    /// `ServiceID` as written, number or text.
    pub service_id: Option<String>,
}

/// Why an operation result makes no event. The written form is the answer's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotTriggered {
    /// It is not one of the four operations that are announced.
    UnknownOperation,
    /// The account has not opened the feature.
    FeatureDisabled,
    /// Primary ENIs come and go with their instance and are not announced.
    PrimaryEni,
    /// Another type, such as `Trunk`.
    NotSecondary,
    /// The call was refused, so nothing changed.
    RequestRefused,
}

impl NotTriggered {
    /// All reasons, in the order in which they are tested.
    pub const ALL: [Self; 5] = [
        Self::UnknownOperation,
        Self::FeatureDisabled,
        Self::PrimaryEni,
        Self::NotSecondary,
        Self::RequestRefused,
    ];

    /// The reason word of the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownOperation => "unknown-operation",
            Self::FeatureDisabled => "feature-disabled",
            Self::PrimaryEni => "primary-eni",
            Self::NotSecondary => "not-secondary",
            Self::RequestRefused => "request-refused",
        }
    }
}

impl std::fmt::Display for NotTriggered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
