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
//! An instance is checked once a request has named it, so that one server has instances of both
//! series. Administration and what clients report of themselves are of no family.
//!
//! Source: the service's "Differences and compatibility between versions 4.x and 5.x".

use broker::{Instance, Series};

/// A protocol that not every series takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    GrpcV1,
    GrpcV2,
    OnsHttp,
}

impl Family {
    /// What a client of this family is told by an instance that does not take it.
    pub(crate) fn refusal(self, instance: &Instance) -> Option<&'static str> {
        match (instance.settings().series, self) {
            (Series::Any, _)
            | (Series::V4, Self::GrpcV1 | Self::OnsHttp)
            | (Series::V5, Self::GrpcV2) => None,
            (Series::V4, Self::GrpcV2) => Some(
                "this instance is of the 4.x series, which takes no gRPC SDKs of 5.x: use a \
                 Remoting SDK, or an instance of the 5.x series",
            ),
            (Series::V5, Self::GrpcV1) => Some(
                "this instance is of the 5.x series, which takes no ONS TCP 2.x SDKs: use a gRPC \
                 SDK of 5.x, ONS TCP 1.x, or an instance of the 4.x series",
            ),
            (Series::V5, Self::OnsHttp) => Some(
                "this instance is of the 5.x series, which takes no HTTP SDKs: use a gRPC SDK of \
                 5.x, or an instance of the 4.x series",
            ),
        }
    }
}
