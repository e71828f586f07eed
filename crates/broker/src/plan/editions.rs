//! The table of editions: what can be ordered, and its numbers.
//!
//! `editions.json` has one offer for each pair of edition and set-up. Its numbers are those of the
//! service's order page (specifications, connections, topics, groups) and of its "Differences and
//! compatibility between versions" (delays). What the service does not tell is ours: the numbers of
//! serverless instances besides their step, and those of `1.micro`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Edition, SubSeries};

/// What can be ordered of one edition and set-up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The edition.
    pub edition: Edition,
    /// The set-up.
    pub sub_series: SubSeries,
    /// Whether elastic TPS may be switched on: `supportAutoScaling`.
    pub elastic: bool,
    /// Whether what is stored may be encrypted.
    pub storage_encryption: bool,
    /// Topics that are not charged for.
    pub topics_free: usize,
    /// Groups that there may be.
    pub groups: usize,
    /// Longest delay of a timed message, in hours.
    pub delay_hours_max: u64,
    /// Longest name of a topic, in bytes.
    pub topic_name_bytes: usize,
    /// Longest name of a group, in bytes.
    pub group_name_bytes: usize,
    /// Sizes; none of serverless instances.
    pub specifications: Vec<Specification>,
    /// What is there instead of a specification.
    #[serde(default)]
    pub serverless: Option<ServerlessOffer>,
}

/// A size that can be ordered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specification {
    /// Its name: `msgProcessSpec`.
    pub name: String,
    /// Messaging TPS, sends and deliveries together.
    pub tps: u64,
    /// TPS beyond them where elastic TPS is on.
    pub burst_tps: u64,
    /// Connected clients.
    pub connections: usize,
    /// Topics that there may be.
    pub topics: usize,
}

/// The numbers of serverless instances.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerlessOffer {
    /// Messaging TPS that nobody reserved and that are there at once; also the step of growth.
    pub on_demand_tps: u64,
    /// Least TPS that can be reserved.
    pub provisioned_tps_min: u64,
    /// Most TPS that can be reserved.
    pub provisioned_tps_max: u64,
    /// Most messaging TPS that the limit grows to by itself.
    pub adaptive_tps_max: u64,
    /// Connected clients.
    pub connections: usize,
    /// Topics that there may be.
    pub topics: usize,
}

impl Offer {
    /// The specification of that name.
    pub fn specification(&self, name: &str) -> Option<&Specification> {
        self.specifications
            .iter()
            .find(|specification| specification.name == name)
    }
}

static OFFERS: LazyLock<Vec<Offer>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("editions.json")).expect("a test reads the table")
});

/// All that can be ordered.
pub fn offers() -> &'static [Offer] {
    &OFFERS
}

/// What can be ordered of an edition and a set-up; `None` if they do not go together.
pub fn offer(edition: Edition, sub_series: SubSeries) -> Option<&'static Offer> {
    offers()
        .iter()
        .find(|offer| offer.edition == edition && offer.sub_series == sub_series)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base::limits;

    use super::*;

    #[test]
    fn every_row_can_be_kept_and_follows_its_name() {
        let mut seen = BTreeSet::new();
        for offer in offers() {
            let what = format!("{} {}", offer.edition, offer.sub_series);
            assert!(seen.insert((offer.edition, offer.sub_series)), "{what}");
            let serverless = offer.sub_series == SubSeries::Serverless;
            assert_eq!(serverless, offer.serverless.is_some(), "{what}");
            assert_eq!(serverless, offer.specifications.is_empty(), "{what}");
            assert!(offer.groups <= limits::GROUPS_PER_INSTANCE_MAX, "{what}");
            assert!(
                offer.delay_hours_max * 3_600_000 <= limits::DELAY_MS_MAX,
                "{what}"
            );
            assert!(
                offer.topic_name_bytes <= limits::TOPIC_NAME_BYTES_MAX,
                "{what}"
            );
            assert!(
                offer.group_name_bytes <= limits::GROUP_NAME_BYTES_MAX,
                "{what}"
            );
            let mut before = 0;
            for row in &offer.specifications {
                let what = &row.name;
                assert!(row.tps > before, "{what}");
                before = row.tps;
                let letter = &offer.edition.code()[..1];
                if offer.sub_series == SubSeries::SingleNode {
                    assert_eq!(*what, format!("rmq.{letter}1.micro"));
                    continue;
                }
                assert_eq!(*what, format!("rmq.{letter}2.{}xlarge", row.tps / 1_000));
                assert_eq!(row.burst_tps > 0, offer.elastic, "{what}");
                assert!(row.burst_tps <= row.tps / 2, "{what}");
                assert!(row.topics > offer.topics_free, "{what}");
                assert!(row.topics <= limits::TOPICS_PER_INSTANCE_MAX, "{what}");
                assert!(row.connections >= 4_000, "{what}");
            }
        }
        assert_eq!(seen.len(), 9);
        let sizes = offers().iter().map(|offer| offer.specifications.len());
        assert_eq!(sizes.sum::<usize>(), 3 + 1 + 12 + 1 + 22);
    }

    #[test]
    fn rows_have_the_numbers_of_the_order_page() {
        let of = |edition, name| {
            let offer = offer(edition, SubSeries::ClusterHa).unwrap();
            let row = offer.specification(name).unwrap();
            (
                row.tps,
                row.burst_tps,
                row.connections,
                row.topics,
                offer.groups,
            )
        };
        let rows = [
            (
                Edition::Standard,
                "rmq.s2.6xlarge",
                (6_000, 0, 6_000, 500, 1_000),
            ),
            (
                Edition::Professional,
                "rmq.p2.10xlarge",
                (10_000, 5_000, 10_000, 1_000, 2_000),
            ),
            (
                Edition::Professional,
                "rmq.p2.200xlarge",
                (200_000, 60_000, 50_000, 2_000, 2_000),
            ),
            (
                Edition::Ultimate,
                "rmq.u2.60xlarge",
                (60_000, 22_000, 16_000, 3_000, 4_000),
            ),
            (
                Edition::Ultimate,
                "rmq.u2.1000xlarge",
                (1_000_000, 300_000, 134_000, 3_000, 4_000),
            ),
        ];
        for (edition, name, expected) in rows {
            assert_eq!(of(edition, name), expected, "{name}");
        }
        assert_eq!(offer(Edition::Ultimate, SubSeries::SingleNode), None);
        assert_eq!(offer(Edition::Ultimate, SubSeries::Serverless), None);
        assert_eq!(offer(Edition::Shared, SubSeries::ClusterHa), None);
    }
}
