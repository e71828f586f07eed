//! A request or an answer, whatever its serialization.

use bytes::Bytes;

use super::{ExtFields, Header, LanguageCode, RequestCode, ResponseCode};

/// Version that this server states: that of RocketMQ 5.5.0. Clients before 5.0 compare it with the
/// versions that brought features (SQL filters) and refuse to use these below.
pub const SERVER_VERSION: i32 = 513;

const RESPONSE_BIT: i32 = 1;
const ONEWAY_BIT: i32 = 2;

/// How a header is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SerializeType {
    /// As a JSON object.
    #[default]
    Json,
    /// In RocketMQ's binary form.
    RocketMq,
}

/// One frame, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// What is asked ([`RequestCode`]) or how it went ([`ResponseCode`]).
    pub code: i32,
    /// Language of the sender.
    pub language: LanguageCode,
    /// Version of the sender. Any number, never to be used as an index.
    pub version: i32,
    /// Joins an answer to its request on a connection.
    pub opaque: i32,
    /// Bit 0: an answer. Bit 1: no answer is wanted.
    pub flag: i32,
    /// Why a request failed.
    pub remark: Option<String>,
    /// Fields of the typed header, and those of signatures.
    pub fields: ExtFields,
    /// Body, a slice of the frame.
    pub body: Bytes,
    /// How the header was, or is to be, written.
    pub serialize_type: SerializeType,
}

impl Command {
    /// A request without a body. The caller sets `opaque`.
    pub fn request<'a>(code: RequestCode, header: &impl Header<'a>) -> Self {
        let mut fields = ExtFields::new();
        header.encode(&mut fields);
        Self {
            code: code.into(),
            version: SERVER_VERSION,
            fields,
            ..Self::default()
        }
    }

    /// The answer to this request, without header and body: same opaque number and serialization.
    pub fn response(&self, code: ResponseCode) -> Self {
        Self {
            code: code.into(),
            version: SERVER_VERSION,
            opaque: self.opaque,
            flag: RESPONSE_BIT,
            serialize_type: self.serialize_type,
            ..Self::default()
        }
    }

    /// This command with the fields of a typed header added.
    #[must_use]
    pub fn with_header<'a>(mut self, header: &impl Header<'a>) -> Self {
        header.encode(&mut self.fields);
        self
    }

    /// This command with a remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// This command with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// This command marked as one that wants no answer.
    #[must_use]
    pub fn as_oneway(mut self) -> Self {
        self.flag |= ONEWAY_BIT;
        self
    }

    /// Whether it is an answer.
    pub fn is_response(&self) -> bool {
        self.flag & RESPONSE_BIT != 0
    }

    /// Whether no answer is wanted.
    pub fn is_oneway(&self) -> bool {
        self.flag & ONEWAY_BIT != 0
    }

    /// What is asked, if it is a known request.
    pub fn request_code(&self) -> Option<RequestCode> {
        RequestCode::from_i32(self.code)
    }

    /// How it went, if it is a known answer.
    pub fn response_code(&self) -> Option<ResponseCode> {
        ResponseCode::from_i32(self.code)
    }

    /// The typed header.
    ///
    /// # Errors
    /// When a required field is missing or a value has the wrong form.
    pub fn header<'a, H: Header<'a>>(&'a self) -> Result<H, super::HeaderError> {
        H::decode(&self.fields)
    }
}
