//! How late this machine lets a thread run that does nothing else: what is measured of the server
//! cannot be better, and on few processors the clients of the measurement are what makes it late.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

/// How long the thread means to wait each time.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that waits again and again and notes how much longer it took than it should.
pub(super) struct Punctuality {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Vec<u64>>,
}

impl Punctuality {
    pub(super) fn start() -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            let mut late_us = Vec::new();
            loop {
                let began = Instant::now();
                if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                    return late_us;
                }
                let late = began.elapsed().saturating_sub(PAUSE);
                late_us.push(late.as_micros() as u64);
            }
        };
        let thread = std::thread::Builder::new().name("punctuality".to_owned());
        Ok(Self {
            stop,
            thread: thread.spawn(watch).context("start a thread")?,
        })
    }

    /// How many microseconds late it was, each time.
    pub(super) fn stop(self) -> Result<Vec<u64>> {
        drop(self.stop);
        let late_us = self.thread.join();
        late_us.map_err(|_| anyhow::anyhow!("the thread that measures punctuality panicked"))
    }
}
