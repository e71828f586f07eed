//! The bodies of requests: a message, or receipt handles.

use super::xml::{self, Child, XmlError};

/// Receipt handles of one request. SDKs send at most 16, the most that one answer has.
const RECEIPT_HANDLES_MAX: usize = 64;

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not the XML that was expected.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An element that there may be once is there twice.
    #[error("element `{name}` is there more than once")]
    Twice {
        /// Its name.
        name: &'static str,
    },
    /// An element is missing or empty.
    #[error("element `{name}` is missing or empty")]
    Missing {
        /// Its name.
        name: &'static str,
    },
}

/// A message on its way in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentMessage {
    /// Its body; never empty.
    pub body: String,
    /// Its tag.
    pub tag: Option<String>,
    /// Its properties, to be read with [`super::iterate_properties`].
    pub properties: String,
}

/// The message in the body of a send.
pub fn parse_message(body: &[u8]) -> Result<SentMessage, BodyError> {
    const NAMES: [&str; 3] = ["MessageBody", "MessageTag", "Properties"];
    let mut texts: [Option<String>; 3] = [None, None, None];
    for Child { name, text } in xml::children(body, "Message", NAMES.len() + 1)? {
        let Some(place) = NAMES.iter().position(|known| *known == name) else {
            return Err(unexpected(&name, "MessageBody, MessageTag or Properties"));
        };
        if texts[place].replace(text).is_some() {
            return Err(BodyError::Twice { name: NAMES[place] });
        }
    }
    let [body, tag, properties] = texts;
    let body = body.filter(|body| !body.is_empty());
    Ok(SentMessage {
        body: body.ok_or(BodyError::Missing {
            name: "MessageBody",
        })?,
        tag: tag.filter(|tag| !tag.is_empty()),
        properties: properties.unwrap_or_default(),
    })
}

/// The handles in the body of an acknowledgement; never none.
pub fn parse_receipt_handles(body: &[u8]) -> Result<Vec<String>, BodyError> {
    const NAME: &str = "ReceiptHandle";
    let children = xml::children(body, "ReceiptHandles", RECEIPT_HANDLES_MAX)?;
    let mut handles = Vec::with_capacity(children.len());
    for Child { name, text } in children {
        if name != NAME {
            return Err(unexpected(&name, NAME));
        }
        if text.is_empty() {
            return Err(BodyError::Missing { name: NAME });
        }
        handles.push(text);
    }
    if handles.is_empty() {
        return Err(BodyError::Missing { name: NAME });
    }
    Ok(handles)
}

fn unexpected(found: &str, expected: &str) -> BodyError {
    BodyError::Xml(XmlError::Element {
        found: found.chars().take(64).collect(),
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_sdks_are_read() {
        // Python: a dictionary in any order. Node.js: everything in CDATA.
        let python = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><Message \
            xmlns=\"http://mq.aliyuncs.com/doc/v1/\"><MessageBody>a &amp; b</MessageBody>\
            <Properties>KEYS:k1|a:b|</Properties><MessageTag>TagA</MessageTag></Message>";
        let nodejs = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Message \
            xmlns=\"http://mq.aliyuncs.com/doc/v1/\"><MessageBody><![CDATA[a & b]]></MessageBody>\
            <MessageTag><![CDATA[TagA]]></MessageTag><Properties><![CDATA[KEYS:k1|a:b|]]>\
            </Properties></Message>";
        let expected = SentMessage {
            body: "a & b".to_owned(),
            tag: Some("TagA".to_owned()),
            properties: "KEYS:k1|a:b|".to_owned(),
        };
        assert_eq!(parse_message(python), Ok(expected.clone()));
        assert_eq!(parse_message(nodejs), Ok(expected));
    }

    #[test]
    fn a_message_has_one_body_and_nothing_unknown() {
        for empty in [
            "<Message/>",
            "<Message><MessageBody/></Message>",
            "<Message><MessageTag>a</MessageTag></Message>",
        ] {
            let name = "MessageBody";
            assert_eq!(
                parse_message(empty.as_bytes()),
                Err(BodyError::Missing { name }),
                "{empty}"
            );
        }
        let twice = b"<Message><MessageBody>a</MessageBody><MessageBody>b</MessageBody></Message>";
        let name = "MessageBody";
        assert_eq!(parse_message(twice), Err(BodyError::Twice { name }));
        let unknown = b"<Message><MessageBody>a</MessageBody><Priority>1</Priority></Message>";
        assert!(matches!(
            parse_message(unknown),
            Err(BodyError::Xml(XmlError::Element { .. }))
        ));
    }

    #[test]
    fn receipt_handles_are_read_in_their_order() {
        let body = b"<ReceiptHandles><ReceiptHandle>b</ReceiptHandle>\
                     <ReceiptHandle><![CDATA[a]]></ReceiptHandle></ReceiptHandles>";
        let expected = vec!["b".to_owned(), "a".to_owned()];
        assert_eq!(parse_receipt_handles(body), Ok(expected));
        for empty in [
            "<ReceiptHandles/>",
            "<ReceiptHandles></ReceiptHandles>",
            "<ReceiptHandles><ReceiptHandle/></ReceiptHandles>",
        ] {
            assert!(matches!(
                parse_receipt_handles(empty.as_bytes()),
                Err(BodyError::Missing { .. })
            ));
        }
        let many = "<ReceiptHandle>a</ReceiptHandle>".repeat(RECEIPT_HANDLES_MAX + 1);
        let many = format!("<ReceiptHandles>{many}</ReceiptHandles>");
        assert!(parse_receipt_handles(many.as_bytes()).is_err());
    }
}
