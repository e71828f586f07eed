//! Waiting for one of two things without a runtime of one's own.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use base::Clock;
use futures::future::{Either, select};

/// Lets everybody else have a turn.
pub(crate) async fn a_turn() {
    let mut had_it = false;
    poll_fn(|context| {
        if std::mem::replace(&mut had_it, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

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
