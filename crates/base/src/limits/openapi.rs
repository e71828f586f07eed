//! Limits of the OpenAPIs of both series.

/// Longest query of a request of the OpenAPI. The longest that its SDKs write tags fifty resources
/// with twenty tags of 256 characters each.
pub const OPENAPI_QUERY_BYTES_MAX: usize = 24 * 1024;

/// Largest form body of a request of the OpenAPI, which holds what else is in the query.
pub const OPENAPI_BODY_BYTES_MAX: usize = 64 * 1024;

/// Largest answer of the OpenAPI that one of our own processes reads from another: the longest are
/// pages of messages with their bodies, which a client that asks for so much gets in smaller pages.
pub const OPENAPI_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most parameters of a request of the OpenAPI: fifty resources and twenty tags have 90.
pub const OPENAPI_PARAMETERS_MAX: usize = 256;

/// How far the time of a request of the OpenAPI may be from the server's, in milliseconds. Its
/// nonce is kept until the request is past that.
pub const OPENAPI_TIME_MS_OFF_MAX: u64 = 15 * 60 * 1_000;

/// Longest nonce of a request of the OpenAPI; SDKs take 32 to 64 characters.
pub const OPENAPI_NONCE_BYTES_MAX: usize = 128;

/// Most nonces that are kept of one user: five requests a second for half an hour.
pub const OPENAPI_NONCES_PER_USER_MAX: usize = 10_000;

/// Most nonces that are kept: some 20 MiB.
pub const OPENAPI_NONCES_MAX: usize = 200_000;

/// Most resources that one request of the OpenAPI tags.
pub const OPENAPI_RESOURCES_MAX: usize = 50;

/// Most tags of one request of the OpenAPI, and of one resource, as its documentation has it.
pub const OPENAPI_TAGS_MAX: usize = 20;

/// Most tags in one page of an answer of the OpenAPI.
pub const OPENAPI_TAGS_PER_PAGE_MAX: usize = 100;

/// Pages of messages by time that the OpenAPI has, as its documentation says.
pub const OPENAPI_PAGES_MAX: i64 = 50;

/// Most messages of one of these pages, as its documentation says.
pub const OPENAPI_PAGE_MESSAGES_MAX: i64 = 50;

/// Queries for traces that are remembered until their results are fetched, each of about 500 bytes;
/// the oldest is forgotten for a new one.
pub const OPENAPI_TRACE_QUERIES_MAX: usize = 1_000;

/// Most items of one list in a request of the OpenAPI 2022-08-01; the longest that its console
/// sends has one for each address of a whitelist.
pub const OPENAPI_LIST_MAX: usize = 200;

/// The most that a topic or a group is told to take in a second by the OpenAPI: more than the
/// largest specification of an instance has.
pub const OPENAPI_TPS_MAX: i64 = 10_000_000;
