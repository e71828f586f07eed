//! Inbox: what the core tells or asks a client, on its way to the client's Telemetry stream.

use base::limits;
use broker::{ClientAnswer, ClientCommand};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// The commands for one Telemetry stream. A stream that its client does not read takes no more than
/// [`limits::CLIENT_COMMANDS_QUEUED_MAX`] of them; the core then goes on to the next client.
pub(crate) struct Inbox {
    /// Where the core puts them.
    pub(crate) sender: mpsc::Sender<Box<ClientCommand>>,
    receiver: mpsc::Receiver<Box<ClientCommand>>,
}

impl Default for Inbox {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(limits::CLIENT_COMMANDS_QUEUED_MAX);
        Self { sender, receiver }
    }
}

impl Inbox {
    /// The next command. Never ends: the inbox itself could still be told something.
    pub(crate) async fn next(&mut self) -> ClientCommand {
        match self.receiver.recv().await {
            Some(command) => *command,
            None => std::future::pending().await,
        }
    }
}

/// Questions that a client has yet to answer, by the nonces that they went out with, each with what
/// is kept until then.
pub(crate) struct Asked<C = ()> {
    last: u64,
    answers: BTreeMap<u64, (oneshot::Sender<ClientAnswer>, C)>,
}

impl<C> Default for Asked<C> {
    fn default() -> Self {
        Self {
            last: 0,
            answers: BTreeMap::new(),
        }
    }
}

impl<C> Asked<C> {
    /// Keeps a question until it is answered or nobody waits for it any more, and says its nonce.
    /// Past the limit it is forgotten, which who asked learns at once.
    pub(crate) fn wait(&mut self, answer: oneshot::Sender<ClientAnswer>, kept: C) -> String {
        self.last += 1;
        if self.answers.len() >= limits::CLIENT_COMMANDS_QUEUED_MAX {
            self.answers.retain(|_, (answer, _)| !answer.is_closed());
        }
        if self.answers.len() < limits::CLIENT_COMMANDS_QUEUED_MAX {
            self.answers.insert(self.last, (answer, kept));
        }
        self.last.to_string()
    }

    /// Hands an answer on, made of what was kept; one that nobody asked for, or twice, is dropped.
    pub(crate) fn answered(&mut self, nonce: &str, told: impl FnOnce(C) -> ClientAnswer) {
        let asked = nonce.parse().ok();
        let Some((answer, kept)) = asked.and_then(|nonce: u64| self.answers.remove(&nonce)) else {
            return;
        };
        // Who asked may have gone in this very moment.
        let _ = answer.send(told(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_questions_and_nothing_piles_up() {
        let mut asked = Asked::default();
        let (first, mut first_heard) = oneshot::channel();
        let (second, mut second_heard) = oneshot::channel();
        let first = asked.wait(first, ());
        let second = asked.wait(second, ());
        let answer = |text: &'static str| ClientAnswer::Done(text.into());
        let done = |text| move |()| answer(text);
        asked.answered("of nobody", done("x"));
        asked.answered(&second, done("b"));
        asked.answered(&second, done("again"));
        asked.answered(&first, done("a"));
        assert_eq!(first_heard.try_recv(), Ok(answer("a")));
        assert_eq!(second_heard.try_recv(), Ok(answer("b")));

        let max = limits::CLIENT_COMMANDS_QUEUED_MAX;
        let mut heard: Vec<_> = (0..=max)
            .map(|_| {
                let (answer, heard) = oneshot::channel();
                asked.wait(answer, ());
                heard
            })
            .collect();
        assert_eq!(asked.answers.len(), max);
        let gone = heard.pop().map(|mut last| last.try_recv());
        assert_eq!(gone, Some(Err(oneshot::error::TryRecvError::Closed)));
        drop(heard);
        asked.wait(oneshot::channel().0, ());
        assert_eq!(
            asked.answers.len(),
            1,
            "those that nobody waits for are forgotten"
        );
    }
}
