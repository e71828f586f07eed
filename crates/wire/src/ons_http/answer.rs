//! The bodies of answers.

use super::{NAMESPACE, xml::push_element};

/// A message as a consumer gets it. Every field that is not an `Option` is always written: SDKs
/// give up on the whole answer where one is missing, and likewise where the body is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// Upper-case hexadecimal MD5 of the body.
    pub body_md5: String,
    /// What acknowledges it.
    pub receipt_handle: String,
    /// When it was sent, ms since 1970.
    pub publish_time: i64,
    /// When it was first handed out to the group, ms since 1970.
    pub first_consume_time: i64,
    /// When it can be handed out again, ms since 1970.
    pub next_consume_time: i64,
    /// How often it was handed out, from 1.
    pub consumed_times: u32,
    /// Its tag.
    pub tag: Option<String>,
    /// Its properties, as written by [`super::push_property`].
    pub properties: String,
}

/// What is wrong with one receipt handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleError {
    /// The protocol's word for it.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// The handle, as it was sent.
    pub receipt_handle: String,
}

fn begin(root: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root} xmlns=\"{NAMESPACE}\">")
}

/// The answer to a send; `receipt_handle` ends the transaction of a half message.
pub fn sent_document(message_id: &str, body_md5: &str, receipt_handle: Option<&str>) -> String {
    let mut out = begin("Message");
    push_element(&mut out, "MessageId", message_id);
    push_element(&mut out, "MessageBodyMD5", body_md5);
    if let Some(handle) = receipt_handle {
        push_element(&mut out, "ReceiptHandle", handle);
    }
    out.push_str("</Message>");
    out
}

/// The answer to a consume that found something.
pub fn messages_document(deliveries: &[Delivery]) -> String {
    let mut out = begin("Messages");
    for delivery in deliveries {
        out.push_str("<Message>");
        push_element(&mut out, "MessageId", &delivery.message_id);
        push_element(&mut out, "MessageBodyMD5", &delivery.body_md5);
        push_element(&mut out, "MessageBody", &delivery.body);
        push_element(&mut out, "ReceiptHandle", &delivery.receipt_handle);
        for (name, value) in [
            ("PublishTime", delivery.publish_time),
            ("FirstConsumeTime", delivery.first_consume_time),
            ("NextConsumeTime", delivery.next_consume_time),
            ("ConsumedTimes", i64::from(delivery.consumed_times)),
        ] {
            push_element(&mut out, name, &value.to_string());
        }
        if let Some(tag) = &delivery.tag {
            push_element(&mut out, "MessageTag", tag);
        }
        if !delivery.properties.is_empty() {
            push_element(&mut out, "Properties", &delivery.properties);
        }
        out.push_str("</Message>");
    }
    out.push_str("</Messages>");
    out
}

/// The answer to a request that is refused; SDKs need all four parts.
pub fn error_document(code: &str, message: &str, request_id: &str, host_id: &str) -> String {
    let mut out = begin("Error");
    push_element(&mut out, "Code", code);
    push_element(&mut out, "Message", message);
    push_element(&mut out, "RequestId", request_id);
    push_element(&mut out, "HostId", host_id);
    out.push_str("</Error>");
    out
}

/// The answer to an acknowledgement of which some handles failed.
pub fn handle_errors_document(errors: &[HandleError]) -> String {
    let mut out = begin("Errors");
    for error in errors {
        out.push_str("<Error>");
        push_element(&mut out, "ErrorCode", error.code);
        push_element(&mut out, "ErrorMessage", &error.message);
        push_element(&mut out, "ReceiptHandle", &error.receipt_handle);
        out.push_str("</Error>");
    }
    out.push_str("</Errors>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    const XMLNS: &str = "xmlns=\"http://mq.aliyuncs.com/doc/v1\"";

    #[test]
    fn a_delivery_has_every_field_that_sdks_need() {
        let delivery = Delivery {
            message_id: "id".to_owned(),
            body: "<b>".to_owned(),
            body_md5: "AB".to_owned(),
            receipt_handle: "h".to_owned(),
            publish_time: 1,
            first_consume_time: 2,
            next_consume_time: 3,
            consumed_times: 4,
            tag: None,
            properties: String::new(),
        };
        let plain = "<MessageId>id</MessageId><MessageBodyMD5>AB</MessageBodyMD5>\
            <MessageBody>&lt;b&gt;</MessageBody><ReceiptHandle>h</ReceiptHandle>\
            <PublishTime>1</PublishTime><FirstConsumeTime>2</FirstConsumeTime>\
            <NextConsumeTime>3</NextConsumeTime><ConsumedTimes>4</ConsumedTimes>";
        let rich = Delivery {
            tag: Some("t".to_owned()),
            properties: "a:b|".to_owned(),
            ..delivery.clone()
        };
        assert_eq!(
            messages_document(&[delivery, rich]),
            format!(
                "{HEAD}<Messages {XMLNS}><Message>{plain}</Message><Message>{plain}\
                 <MessageTag>t</MessageTag><Properties>a:b|</Properties></Message></Messages>"
            )
        );
    }

    #[test]
    fn errors_have_exactly_the_parts_that_sdks_look_for() {
        assert_eq!(
            error_document("C", "M", "R", "H"),
            format!(
                "{HEAD}<Error {XMLNS}><Code>C</Code><Message>M</Message><RequestId>R</RequestId>\
                 <HostId>H</HostId></Error>"
            )
        );
        let error = HandleError {
            code: "C",
            message: "M".to_owned(),
            receipt_handle: "h".to_owned(),
        };
        assert_eq!(
            handle_errors_document(&[error]),
            format!(
                "{HEAD}<Errors {XMLNS}><Error><ErrorCode>C</ErrorCode><ErrorMessage>M\
                 </ErrorMessage><ReceiptHandle>h</ReceiptHandle></Error></Errors>"
            )
        );
        assert_eq!(
            sent_document("id", "AB", Some("h")),
            format!(
                "{HEAD}<Message {XMLNS}><MessageId>id</MessageId><MessageBodyMD5>AB\
                 </MessageBodyMD5><ReceiptHandle>h</ReceiptHandle></Message>"
            )
        );
    }
}
