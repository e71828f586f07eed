//! The end of a connection that the server closes: what it wrote last is to arrive.

use std::{io, time::Duration};

use base::{Clock, limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Says that nothing more comes, then waits for the peer to close, for
/// [`limits::CLOSE_LINGER_MS_MAX`] at most: to close with unread bytes would reset the connection
/// and might destroy the last answers on their way.
pub(crate) async fn linger(clock: &dyn Clock, socket: impl AsyncRead + AsyncWrite + Unpin) {
    tokio::select! {
        // Errors here mean that the peer went first, which is what is waited for.
        _ = until_closed(socket) => {}
        () = clock.sleep(Duration::from_millis(limits::CLOSE_LINGER_MS_MAX)) => {}
    }
}

async fn until_closed(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    socket.shutdown().await?;
    // Not in the state that every connection keeps.
    let mut unread = vec![0; 4_096];
    while socket.read(&mut unread).await? > 0 {}
    Ok(())
}
