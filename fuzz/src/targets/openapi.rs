//! Queries, signatures and times of the OpenAPI.

use wire::openapi::{
    Parameters,
    acs3::{Authorization, canonical_request},
    rpc, timestamp_ms,
};

use super::{note, note_count};

/// A query or form, and the values of headers.
pub(super) fn openapi(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parameters = Parameters::default();
    match parameters.extend(&text) {
        Ok(()) => {
            note_count(parameters.list("ResourceId").len());
            note_count(parameters.pairs("Tag", "Key", "Value").len());
            let signed = rpc::string_to_sign("POST", &parameters);
            assert!(
                signed.starts_with("POST&%2F&") && signed.is_ascii(),
                "{signed}"
            );
            note(parameters.get("Action").is_some());
        }
        Err(error) => note(error),
    }
    if let Some(authorization) = Authorization::parse(&text) {
        let headers = [("host", "h"), ("x-acs-date", &*text)];
        let names = authorization.signed_headers;
        let form = canonical_request("GET", "/", &parameters, &headers, names, "00");
        assert!(form.ends_with("\n00"), "{form}");
        note(authorization.unsigned(&headers).is_some());
        note_count(authorization.signature.len());
    }
    note(timestamp_ms(&text).is_some());
}
