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
    /// Timed messages seen after their time.
    pub timed: usize,
    /// Half messages seen after their commit.
    pub committed: usize,
    /// Messages recalled or rolled back.
    pub taken_back: usize,
    /// Half messages put aside.
    pub put_aside: usize,
    /// Messages sent back that came again.
    pub returned: usize,
    /// Messages sent back that became dead letters.
    pub returned_dead: usize,
    /// Messages taken by holders of queue locks.
    pub in_turn: usize,
    /// Messages handed out in order.
    pub in_line: usize,
    /// Messages handed out while one of a lower priority was there.
    pub by_priority: usize,
    /// Messages of LiteTopics that were settled.
    pub lite_settled: usize,
    /// LiteTopics that were there again after their end.
    pub lite_ended: usize,
}
