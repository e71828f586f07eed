//! Answers on their way to the socket: heads gathered in one buffer, large bodies as the slices
//! that they are, all written with as few calls as possible.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use wire::remoting::{FrameError, frame};

use super::reply::Reply;

/// Bodies up to this many bytes are copied behind their head: cheaper than a slice of their own.
const COPY_BYTES_MAX: usize = 512;

/// Slices handed to one write. The system takes 1,024; a page of messages is 32.
const SLICES_MAX: usize = 64;

/// A buffer larger than this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Bytes waiting to be written, in order: `queue`, then `tail`.
#[derive(Default)]
pub(super) struct Output {
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    queue_bytes: usize,
    unflushed: bool,
}

impl Output {
    /// Bytes waiting.
    pub(super) fn bytes(&self) -> usize {
        self.queue_bytes + self.tail.len()
    }

    /// Whether all is written and flushed.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes() == 0 && !self.unflushed
    }

    /// Forgets everything: nobody reads it any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Appends an answer.
    pub(super) fn put(&mut self, reply: Reply) -> Result<(), FrameError> {
        frame::encode_head(&reply.command, reply.body_len(), &mut self.tail)?;
        self.put_part(reply.command.body);
        for message in reply.messages {
            self.put_part(message);
        }
        Ok(())
    }

    fn put_part(&mut self, part: Bytes) {
        if part.len() <= COPY_BYTES_MAX {
            self.tail.extend_from_slice(&part);
            return;
        }
        if !self.tail.is_empty() {
            let head = self.tail.split().freeze();
            self.queue_bytes += head.len();
            self.queue.push_back(head);
        }
        self.queue_bytes += part.len();
        self.queue.push_back(part);
    }

    /// Writes until nothing waits or the socket takes no more. Returns the bytes written.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        while self.bytes() > 0 {
            match self.poll_write_once(socket, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    total += count;
                    self.unflushed = true;
                    self.advance(count);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if total > 0 => return Poll::Ready(Ok(total)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            // TLS may hold back what it has encrypted.
            match ready!(Pin::new(socket).poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_write_once<S: AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.queue.is_empty() {
            return Pin::new(socket).poll_write(cx, &self.tail);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let parts = self
            .queue
            .iter()
            .map(|part| &part[..])
            .chain([&self.tail[..]]);
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.filter(|part| !part.is_empty())) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        Pin::new(socket).poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.queue.front_mut() {
            if count < first.len() {
                first.advance(count);
                self.queue_bytes -= count;
                return;
            }
            count -= first.len();
            self.queue_bytes -= first.len();
            self.queue.pop_front();
        }
        self.tail.advance(count);
        if self.tail.is_empty() {
            if self.tail.capacity() > KEPT_BYTES_MAX {
                self.tail = BytesMut::new();
            } else {
                self.tail.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use wire::remoting::Command;

    use super::*;

    /// Takes a few bytes at a time.
    struct Trickle {
        taken: Vec<u8>,
        at_once: usize,
    }

    impl AsyncWrite for Trickle {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.at_once);
            self.taken.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn answers_come_out_whole_and_in_order_however_little_is_taken() {
        for at_once in [1, 7, 600, 100_000] {
            let mut output = Output::default();
            let mut expected = BytesMut::new();
            for index in 0..20_u8 {
                // Bodies both below and above what is copied, some empty.
                let parts: Vec<Bytes> = (0..usize::from(index % 4))
                    .map(|part| Bytes::from(vec![index; part * 500 + usize::from(index)]))
                    .collect();
                let command = Command {
                    opaque: index.into(),
                    ..Command::default()
                };
                let whole = command.clone().with_body(parts.concat());
                frame::encode(&whole, &mut expected).unwrap();
                output
                    .put(Reply {
                        command,
                        messages: parts,
                    })
                    .unwrap();
            }
            assert_eq!(output.bytes(), expected.len());
            let mut socket = Trickle {
                taken: Vec::new(),
                at_once,
            };
            let mut cx = Context::from_waker(Waker::noop());
            while !output.is_empty() {
                assert!(output.poll_write(&mut socket, &mut cx).is_ready());
            }
            assert_eq!(socket.taken, expected, "{at_once} at once");
        }
    }
}
