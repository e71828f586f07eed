//! The figures of a run.

/// What happened in a run, in numbers: a run in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that clients tried to send.
    pub sent: usize,
    /// Messages confirmed.
    pub confirmed: usize,
    /// Pairs of group and message delivered by receive.
    pub delivered: usize,
    /// Pairs of group and message settled.
    pub settled: usize,
    /// Pairs of group and message pulled.
    pub pulled: usize,
}
