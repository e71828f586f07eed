//! Waiting for one of two things without a runtime of one's own.

use std::{future::Future, pin::pin, time::Duration};

use base::Clock;
use futures::future::{Either, select};

/// Waits until `event` happens or `time` has passed; says whether it was the event.
pub(crate) async fn until(
    event: impl Future<Output = ()>,
    clock: &dyn Clock,
    time: Duration,
) -> bool {
    match select(pin!(event), clock.sleep(time)).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    }
}
