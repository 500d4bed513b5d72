//! Defects that are planted in the seam between dispatch and journal, each as it would show.

/// One defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A claim is settled as delivered at once, and only then sent.
    SettleBeforeSend,
    /// A start does not end the claims of the process that died.
    LeaseNeverExpires,
    /// A claim counts as an attempt, settled or not.
    CountedAtClaim,
    /// A settlement of a dead process's claim ends whatever attempt is open now.
    StaleSettles,
    /// One message more than the limit may start.
    PermitOffByOne,
    /// Each message takes two permits.
    PermitTakenTwice,
    /// The next of a lane is due as soon as its head is claimed.
    LaneReleasedEarly,
    /// What was cut off by a crash leaves its lane.
    LanePassedOnCrash,
    /// A new message of several bears the key of the last one of its sink.
    KeyReused,
    /// A text that may have arrived is not sent again but made again.
    RenderedAnew,
    /// INFO takes the permits that are kept for WARN.
    ReserveForgotten,
    /// A sink uses only the first of its endpoints.
    OneWayOnly,
    /// What the far side says about a pause is not written down.
    PenaltyForgotten,
    /// The body of a message that may have arrived is made in the form of the day.
    FormForgotten,
    /// What a message had no room for is settled with it.
    SplitLost,
    /// Of a message of several only the first keeps its lane.
    LaneOfSeveralReleased,
    /// A retry comes as soon as it can.
    WaitForgotten,
    /// What a full disk refused is answered as accepted.
    RefusedIsAnswered,
    /// A claim that a full disk refused is sent all the same.
    RefusedIsSent,
    /// What a record or a settlement claimed for who had asked ahead reaches nobody.
    AheadIsLost,
    /// What retention removes is forgotten.
    RemovedUncounted,
    /// Under pressure, what is urgent gives way.
    UrgentGivesWay,
    /// A sweep forgets by what a repeat is recognised.
    RepeatForgotten,
}
