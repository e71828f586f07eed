//! Requests to clean up (codes 306, 316, 329). Retention and what follows it go on by themselves,
//! so that there is never anything left to do.

use wire::remoting::Command;

use crate::remoting::reply::{Answer, Reply};

/// Codes 306, 316 and 329.
pub(super) fn done(request: &Command) -> Answer {
    Ok(Reply::success(request))
}
