//! What one of several nodes has of a budget that is the instance's.
//!
//! Nobody hands shares out: each node works its own out from who is there, by the numbers of the
//! nodes. Nodes that see the same others have shares that add up to the whole, to the unit. In the
//! moment in which a node comes, those that have not heard of it have a little too much.
//!
//! A node that is out of the routes for sends has a share of them until nobody sends to it any
//! more: what senders with older routes send is the instance's as well.

use base::ShardId;

/// A node that serves an instance, as shares want it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharer {
    pub(crate) number: ShardId,
    /// Whether anybody sends to it.
    pub(crate) is_sent_to: bool,
}

/// One part of as many as there are nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Nodes with lower numbers: what cannot be divided is theirs first.
    rank: u64,
    nodes: u64,
}

impl Share {
    const WHOLE: Self = Self { rank: 0, nodes: 1 };

    fn among(own: ShardId, others: impl Iterator<Item = ShardId>) -> Self {
        let mut share = Self::WHOLE;
        for other in others.filter(|other| *other != own) {
            share.nodes += 1;
            share.rank += u64::from(other < own);
        }
        share
    }

    /// The share of so many units. It is never nothing of something: the node would refuse for
    /// ever what its clients are sent to it for. So where there are more nodes than units, which no
    /// plan has, the shares are more than the whole.
    pub(crate) fn of(self, whole: u64) -> u64 {
        let share = whole / self.nodes + u64::from(self.rank < whole % self.nodes);
        share.max(whole.min(1))
    }
}

/// What a node has of the budgets of its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) sends: Share,
    pub(crate) deliveries: Share,
}

impl Default for Shares {
    /// All, as the only node has.
    fn default() -> Self {
        Self {
            sends: Share::WHOLE,
            deliveries: Share::WHOLE,
        }
    }
}

impl Shares {
    /// Those of the node of that number. It counts itself for both, seen or not: what is sent to it
    /// is taken.
    pub(crate) fn among(own: ShardId, nodes: &[Sharer]) -> Self {
        let sent_to = nodes.iter().filter(|node| node.is_sent_to);
        // Where all are out of the routes, all are in them again.
        let is_any = sent_to.clone().next().is_some();
        let sent_to = nodes.iter().filter(|node| node.is_sent_to || !is_any);
        Self {
            sends: Share::among(own, sent_to.map(|node| node.number)),
            deliveries: Share::among(own, nodes.iter().map(|node| node.number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(of: &[(u16, bool)]) -> Vec<Sharer> {
        let nodes = of.iter().map(|&(number, is_sent_to)| Sharer {
            number: ShardId::new(number),
            is_sent_to,
        });
        nodes.collect()
    }

    /// Sends and deliveries that each of the nodes has of so many.
    fn shares(of: &[(u16, bool)], whole: u64) -> Vec<(u64, u64)> {
        let nodes = nodes(of);
        let shares = nodes
            .iter()
            .map(|node| Shares::among(node.number, &nodes))
            .map(|shares| (shares.sends.of(whole), shares.deliveries.of(whole)));
        shares.collect()
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        assert_eq!(shares(&[(0, true)], 10), [(10, 10)]);
        assert_eq!(
            shares(&[(7, true), (2, true), (4, true)], 11),
            [(3, 3), (4, 4), (4, 4)]
        );
        for count in 1..=64 {
            let of: Vec<_> = (0..count).map(|number| (number * 3, true)).collect();
            for whole in [64, 65, 127, 500, 2_001, 1_300_000] {
                let shares = shares(&of, whole);
                assert_eq!(shares.iter().map(|it| it.0).sum::<u64>(), whole, "{count}");
                assert_eq!(shares.iter().map(|it| it.1).sum::<u64>(), whole, "{count}");
            }
        }
    }

    #[test]
    fn a_node_that_nobody_sends_to_leaves_its_sends_to_the_others() {
        let of = [(0, true), (1, false), (2, true)];
        assert_eq!(shares(&of, 9), [(5, 3), (3, 3), (4, 3)]);
        // All that are left are sent to.
        let of = [(0, false), (1, false)];
        assert_eq!(shares(&of, 9), [(5, 5), (4, 4)]);
    }

    #[test]
    fn a_node_that_nobody_sees_counts_itself() {
        let share = Shares::among(ShardId::new(1), &nodes(&[(0, true), (5, true)]));
        assert_eq!((share.sends.of(10), share.deliveries.of(10)), (3, 3));
        let alone = Shares::among(ShardId::new(1), &[]);
        assert_eq!(alone, Shares::default());
    }

    #[test]
    fn nobody_has_nothing_of_something() {
        assert_eq!(shares(&[(0, true), (1, true)], 1), [(1, 1), (1, 1)]);
        assert_eq!(shares(&[(0, true), (1, true)], 0), [(0, 0), (0, 0)]);
    }
}
