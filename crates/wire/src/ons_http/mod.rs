//! The bodies, request targets and signatures of the ONS HTTP plane, as `mq-http-sdk` writes and
//! reads them: version 2015-06-06, XML in UTF-8.
//!
//! Source: the released SDKs for Java, Python, Node.js and Go, and the public pages of the service
//! ("HTTP protocol", "Error codes for the HTTP client SDK").

mod answer;
mod properties;
mod request;
mod signature;
mod target;
pub(crate) mod xml;

pub use answer::{
    Delivery, HandleError, error_document, handle_errors_document, messages_document, sent_document,
};
pub use properties::{iterate as iterate_properties, push as push_property};
pub use request::{BodyError, SentMessage, parse_message, parse_receipt_handles};
pub use signature::{Credential, credential, date_ms, is_digest_form, string_to_sign};
pub use target::{Target, TargetError};
pub use xml::XmlError;

/// The one version of the protocol, in header [`VERSION_HEADER`].
pub const VERSION: &str = "2015-06-06";

/// Where requests and answers name the version.
pub const VERSION_HEADER: &str = "x-mq-version";

/// Where answers name the request.
///
/// Compat: mq-http-sdk 1.0.3 for Python looks it up in this case only.
pub const REQUEST_ID_HEADER: &str = "x-mq-request-id";

/// What headers start with that are signed besides the fixed ones.
pub const SIGNED_HEADER_PREFIX: &str = "x-mq-";

/// The token of temporary credentials; not signed.
pub const SECURITY_TOKEN_HEADER: &str = "security-token";

/// Content type of every answer with a body.
pub const CONTENT_TYPE: &str = "text/xml;charset=utf-8";

/// The property of a message's keys.
pub const KEYS: &str = "KEYS";

/// The property of a half message that says after how many seconds it may first be asked about.
pub const TRANSACTION_CHECK_SECONDS: &str = "__TransCheckT";

/// The namespace of answers.
///
/// Compat: mq-http-sdk 1.0.3.2 for Java reads error documents of exactly this one; the others look
/// at no namespace. What SDKs send may have a slash at its end. Test: conformance, `java-ons-http`.
const NAMESPACE: &str = "http://mq.aliyuncs.com/doc/v1";
