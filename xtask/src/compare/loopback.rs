//! What the loopback interface can do by itself: the floor under everything on one connection.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};

use super::disk::RECORDS;
use super::processors::{Place, Processors};
use crate::conformance::deadline::Stopwatch;

/// Bytes of a send of 1 KiB with its header.
const REQUEST_BYTES: usize = 1_250;

/// Bytes of the answer to one.
const ANSWER_BYTES: usize = 150;

/// How often as many requests as a disk write holds go there, and their answers back.
const TURNS: u32 = 4_000;

/// Requests per second if nothing is done with them but to answer all that are under way at once.
pub(super) fn messages_per_second(processors: &Processors) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr()?;
    let server = processors.within(Place::Server, || {
        Ok(thread::spawn(move || -> std::io::Result<()> {
            let (mut connection, _) = listener.accept()?;
            connection.set_nodelay(true)?;
            let (mut requests, answers) = buffers(REQUEST_BYTES, ANSWER_BYTES);
            for _ in 0..TURNS {
                connection.read_exact(&mut requests)?;
                connection.write_all(&answers)?;
            }
            Ok(())
        }))
    })?;
    let client = processors.within(Place::Generator, || {
        Ok(thread::spawn(move || -> std::io::Result<f64> {
            let mut connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            let (mut answers, requests) = buffers(ANSWER_BYTES, REQUEST_BYTES);
            let watch = Stopwatch::start();
            for _ in 0..TURNS {
                connection.write_all(&requests)?;
                connection.read_exact(&mut answers)?;
            }
            Ok(watch.elapsed().as_secs_f64())
        }))
    })?;
    let panicked = |_| anyhow::anyhow!("a thread of the loopback measurement panicked");
    let seconds = client.join().map_err(panicked)?.context("send")?;
    server.join().map_err(panicked)?.context("answer")?;
    Ok(f64::from(TURNS) * RECORDS as f64 / seconds)
}

/// What one end reads into, and what it writes.
fn buffers(read: usize, written: usize) -> (Vec<u8>, Vec<u8>) {
    (vec![0; RECORDS * read], vec![0x5a; RECORDS * written])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_there_and_answers_back() {
        let processors = Processors::share(false).unwrap();
        assert!(messages_per_second(&processors).unwrap() > 1_000.0);
    }
}
