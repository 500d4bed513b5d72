//! What the queue service answers, and the one thing that it is told in a body.
//!
//! Source: Alibaba Cloud, Simple Message Queue, "BatchReceiveMessage", "BatchDeleteMessage",
//! "GetQueueAttributes" (read November 2026).

use quick_xml::de::from_str;
use quick_xml::escape::escape;
use serde::Deserialize;

/// A message that was received, and is invisible to others for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(default)]
    pub(super) message_id: String,
    /// By which it is deleted; a later receipt makes it void.
    pub(super) receipt_handle: String,
    #[serde(default)]
    pub(super) message_body: String,
    /// When it was sent, in milliseconds since 1970.
    #[serde(default)]
    pub(super) enqueue_time: i64,
    /// Until when the handle is good, likewise.
    #[serde(default)]
    pub(super) next_visible_time: i64,
    /// How often it was received, this time included.
    #[serde(default)]
    pub(super) dequeue_count: u32,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(rename = "Message", default)]
    all: Vec<Message>,
}

/// Why a request was not done.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "Code", default)]
    pub(super) code: String,
    #[serde(rename = "Message", default)]
    pub(super) message: String,
}

/// A message that was not deleted.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Undeleted {
    #[serde(rename = "ErrorCode", default)]
    pub(super) code: String,
    #[serde(rename = "ReceiptHandle", default)]
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "Error", default)]
    all: Vec<Undeleted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    active_messages: u64,
    #[serde(default)]
    inactive_messages: u64,
    #[serde(default)]
    delay_messages: u64,
}

/// Reads received messages.
///
/// # Errors
/// They cannot be read; in words.
pub(super) fn messages(text: &str) -> Result<Vec<Message>, String> {
    let read = from_str::<Messages>(text);
    read.map(|Messages { all }| all)
        .map_err(|why| format!("the queue's answer is not as documented: {why}"))
}

/// Reads a refusal; empty where the answer is none.
pub(super) fn refusal(text: &str) -> Refusal {
    from_str(text).unwrap_or_default()
}

/// Reads which messages were not deleted; `None` where the answer lists none.
pub(super) fn undeleted(text: &str) -> Option<Vec<Undeleted>> {
    let Errors { all } = from_str(text).ok()?;
    (!all.is_empty()).then_some(all)
}

/// How many messages a queue holds, those included that are invisible or delayed.
pub(super) fn held(text: &str) -> Option<u64> {
    let found: Attributes = from_str(text).ok()?;
    Some(found.active_messages + found.inactive_messages + found.delay_messages)
}

/// The body that names messages to be deleted.
pub(super) fn receipt_handles(handles: &[&str]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ReceiptHandles xmlns=\"http://mns.aliyuncs.com/doc/v1/\">",
    );
    for handle in handles {
        text.push_str("<ReceiptHandle>");
        text.push_str(&escape(*handle));
        text.push_str("</ReceiptHandle>");
    }
    text.push_str("</ReceiptHandles>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_entities_and_without_what_is_not_known() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<Messages xmlns="http://mns.aliyuncs.com/doc/v1/">
  <Message>
    <MessageId>5F290C926D472878-2-14D9529A8FA-200000001</MessageId>
    <ReceiptHandle>1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA==</ReceiptHandle>
    <MessageBodyMD5>C5DD56A39F5F7BB8B3337C6D11B6D8C7</MessageBodyMD5>
    <MessageBody>{&quot;a&quot;:&quot;&lt;&amp;&#x4e2d;&#10;&gt;&quot;}</MessageBody>
    <EnqueueTime>1767323045000</EnqueueTime>
    <NextVisibleTime>1767323075000</NextVisibleTime>
    <FirstDequeueTime>1767323045500</FirstDequeueTime>
    <DequeueCount>1</DequeueCount>
    <Priority>8</Priority>
    <Novelty><Deep/></Novelty>
  </Message>
  <Message><ReceiptHandle>2</ReceiptHandle><MessageBody><![CDATA[<&>]]></MessageBody></Message>
</Messages>"#;
        let [first, second] = &messages(text).unwrap()[..] else {
            panic!()
        };
        assert_eq!(first.message_body, "{\"a\":\"<&中\n>\"}");
        assert_eq!(
            first.receipt_handle,
            "1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA=="
        );
        let times = (
            first.enqueue_time,
            first.next_visible_time,
            first.dequeue_count,
        );
        assert_eq!(times, (1_767_323_045_000, 1_767_323_075_000, 1));
        assert_eq!(
            (&*second.message_body, second.next_visible_time),
            ("<&>", 0)
        );
        for broken in [
            "",
            "<Messages>",
            "<a></b>",
            "<Messages><Message/></Messages>",
            "{}",
        ] {
            assert!(messages(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn an_entity_that_names_another_is_not_followed() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]>\
             <Messages><Message><ReceiptHandle>&c;</ReceiptHandle></Message></Messages>";
        assert!(messages(bomb).is_err());
    }

    #[test]
    fn refusals_say_their_code() {
        let text = "<Error xmlns=\"http://mns.aliyuncs.com/doc/v1/\"><Code>MessageNotExist</Code>\
             <Message>Message not exist.</Message><RequestId>5</RequestId></Error>";
        assert_eq!(refusal(text).code, "MessageNotExist");
        assert_eq!(refusal("<html>no"), Refusal::default());
        let text = "<Errors><Error><ErrorCode>ReceiptHandleError</ErrorCode>\
             <ErrorMessage>The receipt handle is not valid.</ErrorMessage>\
             <ReceiptHandle>7</ReceiptHandle></Error></Errors>";
        let undeleted = undeleted(text).unwrap();
        assert_eq!(undeleted[0].receipt_handle, "7");
        assert_eq!(super::undeleted("<Error><Code>X</Code></Error>"), None);
    }

    #[test]
    fn what_a_queue_holds_is_counted_whole() {
        let text = "<Queue><QueueName>q</QueueName><ActiveMessages>20</ActiveMessages>\
             <InactiveMessages>3</InactiveMessages><DelayMessages>1</DelayMessages></Queue>";
        assert_eq!((held(text), held("<Queue/>")), (Some(24), None));
    }

    #[test]
    fn handles_are_escaped() {
        assert!(receipt_handles(&["a<b", "c"]).contains(
            "<ReceiptHandle>a&lt;b</ReceiptHandle><ReceiptHandle>c</ReceiptHandle></ReceiptHandles>"
        ));
    }
}
