//! One running driver: a released client that obeys commands and reports events.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use super::deadline::{COMMAND, Deadline, START};
use super::event::{self, ConsumerStart, Event, Operation, Outgoing, ProducerStart, StreamStart};
use super::process::Process;

/// Requests that a driver keeps under way in `send_many`.
const SEND_CONCURRENCY: u32 = 16;

/// A driver that is ready.
pub(crate) struct Driver {
    process: Process,
    command: u32,
    waiting: VecDeque<Event>,
}

/// Which messages of a `send` or `send_many` the server took.
#[derive(Debug, Default)]
pub(crate) struct SendReport {
    /// Keys of the messages that were taken.
    pub(crate) sent: Vec<String>,
    /// Keys of the messages that the client gave up on, and why: they may be stored nevertheless.
    pub(crate) failed: Vec<(String, String)>,
    /// What takes the last one back, if it is a timed message.
    pub(crate) recall_handle: Option<String>,
}

impl SendReport {
    /// The keys, where every message must have been taken.
    pub(crate) fn all(self) -> Result<Vec<String>> {
        match self.failed.first() {
            None => Ok(self.sent),
            Some((key, error)) => bail!(
                "{} of {} sends failed, the first is `{key}`: {error}",
                self.failed.len(),
                self.failed.len() + self.sent.len()
            ),
        }
    }
}

impl Driver {
    /// Starts a driver and waits until it takes commands.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let process = Process::start(name, command, log)?;
        let mut driver = Self {
            process,
            command: 0,
            waiting: VecDeque::new(),
        };
        match driver.read(Deadline::after(START))? {
            Event::Ready => Ok(driver),
            other => bail!("{name} said {other:?} instead of ready"),
        }
    }

    /// Starts an ordinary producer.
    pub(crate) fn start_producer(&mut self, topic: &str) -> Result<()> {
        self.start_producer_as(&ProducerStart::of(topic))
    }

    /// Starts the producer.
    pub(crate) fn start_producer_as(&mut self, start: &ProducerStart<'_>) -> Result<()> {
        self.call(&Operation::StartProducer(start))
    }

    /// Starts a producer that may be refused: then with what the library says.
    pub(crate) fn try_start_producer(
        &mut self,
        start: &ProducerStart<'_>,
    ) -> Result<Result<(), String>> {
        self.try_call(&Operation::StartProducer(start))
    }

    /// Starts a consumer that may be refused: then with what the library says.
    pub(crate) fn try_start_consumer(
        &mut self,
        start: &ConsumerStart<'_>,
    ) -> Result<Result<(), String>> {
        self.try_call(&Operation::StartConsumer(start))
    }

    /// Starts the consumer.
    pub(crate) fn start_consumer(&mut self, start: &ConsumerStart<'_>) -> Result<()> {
        self.call(&Operation::StartConsumer(start))
    }

    /// Sets a consumer that polls to the first message of each queue.
    pub(crate) fn seek_to_begin(&mut self) -> Result<()> {
        self.seek("begin", None)
    }

    /// Sets a consumer that polls behind the last message of each queue.
    pub(crate) fn seek_to_end(&mut self) -> Result<()> {
        self.seek("end", None)
    }

    /// Sets a consumer that polls to the first message of each queue that is not older.
    pub(crate) fn seek_to_time(&mut self, timestamp_ms: u64) -> Result<()> {
        self.seek("timestamp", Some(timestamp_ms))
    }

    fn seek(&mut self, to: &str, timestamp_ms: Option<u64>) -> Result<()> {
        self.call(&Operation::Seek { to, timestamp_ms })
    }

    /// Has a lite consumer get the messages of a LiteTopic too.
    pub(crate) fn subscribe_lite(&mut self, lite_topic: &str) -> Result<()> {
        self.call(&Operation::SubscribeLite { lite_topic })
    }

    /// The same where it may be refused: then with what the library says.
    pub(crate) fn try_subscribe_lite(&mut self, lite_topic: &str) -> Result<Result<(), String>> {
        self.try_call(&Operation::SubscribeLite { lite_topic })
    }

    /// Has it get them no longer.
    pub(crate) fn unsubscribe_lite(&mut self, lite_topic: &str) -> Result<()> {
        self.call(&Operation::UnsubscribeLite { lite_topic })
    }

    /// Stops the producer.
    pub(crate) fn stop_producer(&mut self) -> Result<()> {
        self.call(&Operation::StopProducer)
    }

    /// Stops the consumer in the orderly way of its library.
    pub(crate) fn stop_consumer(&mut self) -> Result<()> {
        self.call(&Operation::StopConsumer)
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, outgoing: &Outgoing) -> Result<SendReport> {
        self.call(&Operation::Send(outgoing))?;
        Ok(self.take_send_report())
    }

    /// Sends messages in a single request.
    pub(crate) fn send_batch(&mut self, topic: &str, keys: &[String]) -> Result<SendReport> {
        self.call(&Operation::SendBatch { topic, keys })?;
        Ok(self.take_send_report())
    }

    /// Sends a half message; `local` is how the local transaction ends.
    pub(crate) fn send_transaction(
        &mut self,
        outgoing: &Outgoing,
        local: &str,
    ) -> Result<SendReport> {
        self.call(&Operation::SendTransaction { outgoing, local })?;
        Ok(self.take_send_report())
    }

    /// Sends a request; the report says whether it was answered, the reply is an event of its own.
    pub(crate) fn request(&mut self, outgoing: &Outgoing, timeout_ms: u64) -> Result<SendReport> {
        self.call(&Operation::Request {
            outgoing,
            timeout_ms,
        })?;
        Ok(self.take_send_report())
    }

    /// Takes back a timed message.
    pub(crate) fn recall(&mut self, topic: &str, recall_handle: &str) -> Result<()> {
        self.call(&Operation::Recall {
            topic,
            recall_handle,
        })
    }

    /// Sends `count` messages with the keys `prefix` + 0, 1, ...
    pub(crate) fn send_many(
        &mut self,
        topic: &str,
        prefix: &str,
        count: u32,
    ) -> Result<SendReport> {
        self.send_numbered(topic, prefix, count, None)
    }

    /// The same with a sharding key, in which `#` stands for the number of the message.
    pub(crate) fn send_many_sharded(
        &mut self,
        topic: &str,
        prefix: &str,
        count: u32,
        sharding_key: &str,
    ) -> Result<SendReport> {
        self.send_numbered(topic, prefix, count, Some(sharding_key))
    }

    /// Sends until told to stop; what becomes of each message is an event.
    pub(crate) fn start_stream(&mut self, start: &StreamStart<'_>) -> Result<()> {
        self.call(&Operation::StartStream(start))
    }

    /// Stops sending and waits for what is under way.
    pub(crate) fn stop_stream(&mut self) -> Result<()> {
        self.call(&Operation::StopStream)
    }

    fn send_numbered(
        &mut self,
        topic: &str,
        prefix: &str,
        count: u32,
        sharding_key: Option<&str>,
    ) -> Result<SendReport> {
        let concurrency = SEND_CONCURRENCY;
        self.call(&Operation::SendMany {
            topic,
            prefix,
            count,
            concurrency,
            sharding_key,
        })?;
        let report = self.take_send_report();
        let total = report.sent.len() + report.failed.len();
        if total != usize::try_from(count)? {
            bail!("the driver reported {total} of {count} sends");
        }
        Ok(report)
    }

    /// Ends the process and expects that it ends well.
    pub(crate) fn exit(mut self) -> Result<()> {
        self.call(&Operation::Exit)?;
        self.process.wait_for_success(Deadline::after(COMMAND))
    }

    /// The next event that is not the answer to a command.
    pub(crate) fn next_event(&mut self, deadline: Deadline) -> Result<Event> {
        match self.waiting.pop_front() {
            Some(event) => Ok(event),
            None => self.read(deadline),
        }
    }

    /// The next event that is not the answer to a command, or none if there is none by `deadline`.
    pub(crate) fn next_event_until(&mut self, deadline: Deadline) -> Result<Option<Event>> {
        match self.waiting.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self
                .process
                .line_until(deadline)?
                .map(|line| event::decode(&line))
                .transpose(),
        }
    }

    fn call(&mut self, operation: &Operation<'_>) -> Result<()> {
        self.try_call(operation)?.map_err(|error| {
            let line = event::encode(self.command, operation).unwrap_or_default();
            anyhow!("`{}` failed: {error}", line.trim_end())
        })
    }

    /// What the driver answers to a command; an error only where it gives no answer.
    fn try_call(&mut self, operation: &Operation<'_>) -> Result<Result<(), String>> {
        self.command += 1;
        let line = event::encode(self.command, operation)?;
        self.process.write(&line)?;
        let deadline = Deadline::after(COMMAND);
        loop {
            let event = self
                .read(deadline)
                .with_context(|| format!("wait for `{}`", line.trim_end()))?;
            match event {
                Event::Done { command } if command == self.command => return Ok(Ok(())),
                Event::Failed { command, error } if command == self.command => {
                    return Ok(Err(error));
                }
                other => self.waiting.push_back(other),
            }
        }
    }

    fn read(&mut self, deadline: Deadline) -> Result<Event> {
        event::decode(&self.process.next_line(deadline)?)
    }

    fn take_send_report(&mut self) -> SendReport {
        let mut report = SendReport::default();
        let events = std::mem::take(&mut self.waiting);
        for event in events {
            match event {
                Event::Sent {
                    key, recall_handle, ..
                } => {
                    report.sent.push(key);
                    report.recall_handle = recall_handle;
                }
                Event::SendFailed { key, error } => report.failed.push((key, error)),
                other => self.waiting.push_back(other),
            }
        }
        report
    }
}
