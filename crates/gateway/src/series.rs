//! Series: which families of clients an instance takes, and what it says to the others.
//!
//! | family | protocol | `any` | `4.x` | `5.x` |
//! | --- | --- | --- | --- | --- |
//! | gRPC SDK 5.x | gRPC v2 | yes | no | yes |
//! | Remoting SDK 5.x | Remoting | yes | yes | yes |
//! | SDK 4.x, 3.x | Remoting | yes | yes | yes |
//! | ONS TCP 1.x | Remoting | yes | yes | yes |
//! | ONS TCP 2.x | gRPC v1 | yes | yes | no |
//! | ONS HTTP | HTTP | yes | yes | no |
//!
//! Source: the service's "Differences and compatibility between versions 4.x and 5.x".

/// The series of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// It takes every family.
    #[default]
    Any,
    /// Everything but gRPC v2.
    V4,
    /// Everything but gRPC v1 and HTTP.
    V5,
}

/// A protocol that not every series takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    GrpcV1,
    GrpcV2,
    OnsHttp,
}

impl Series {
    /// What a client of that family is told, if it is not taken.
    pub(crate) fn refusal(self, family: Family) -> Option<&'static str> {
        match (self, family) {
            (Self::Any, _)
            | (Self::V4, Family::GrpcV1 | Family::OnsHttp)
            | (Self::V5, Family::GrpcV2) => None,
            (Self::V4, Family::GrpcV2) => Some(
                "this instance is of the 4.x series, which takes no gRPC SDKs of 5.x: use a \
                 Remoting SDK, or an instance of the 5.x series",
            ),
            (Self::V5, Family::GrpcV1) => Some(
                "this instance is of the 5.x series, which takes no ONS TCP 2.x SDKs: use a gRPC \
                 SDK of 5.x, ONS TCP 1.x, or an instance of the 4.x series",
            ),
            (Self::V5, Family::OnsHttp) => Some(
                "this instance is of the 5.x series, which takes no HTTP SDKs: use a gRPC SDK of \
                 5.x, or an instance of the 4.x series",
            ),
        }
    }
}
