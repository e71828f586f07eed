//! What a signature that is not taken is refused with: the codes of the vendor's gateway, which all
//! of its APIs share.

/// The function `signature_code`, from a `SignatureError` to the `Code` of an API. `nobody` is the
/// code where there is no instance whose users could sign.
macro_rules! signature_code {
    (nobody: $nobody:ident) => {
        fn signature_code(error: &SignatureError) -> Code {
            use crate::openapi_request::NonceError;
            use ::broker::access::NotAuthenticated;
            match error {
                SignatureError::Missing { .. } => Code::MissingParameter,
                SignatureError::Invalid { .. } => Code::InvalidParameter,
                SignatureError::NoAuthorization | SignatureError::Uncovered { .. } => {
                    Code::IncompleteSignature
                }
                SignatureError::Content | SignatureError::Mismatch { .. } => {
                    Code::SignatureDoesNotMatch
                }
                SignatureError::Time { .. } => Code::InvalidTimeStampFormat,
                SignatureError::Expired { .. } => Code::InvalidTimeStampExpired,
                SignatureError::NotAuthenticated(error) => match error {
                    NotAuthenticated::NoName | NotAuthenticated::Unknown { .. } => {
                        Code::InvalidAccessKeyIdNotFound
                    }
                    NotAuthenticated::Disabled { .. } | NotAuthenticated::Method { .. } => {
                        Code::InvalidAccessKeyIdInactive
                    }
                    NotAuthenticated::SessionToken { .. } => Code::InvalidSecurityToken,
                    NotAuthenticated::Signature => Code::SignatureDoesNotMatch,
                },
                SignatureError::Nonce(error) => match error {
                    NonceError::Used { .. } => Code::SignatureNonceUsed,
                    NonceError::TooMany { .. } => Code::ThrottlingUser,
                },
                SignatureError::NoUsers(_) => Code::$nobody,
            }
        }
    };
}

pub(crate) use signature_code;
