//! Reports of clients, added up.

use super::*;

const METRIC: ClientMetric = ClientMetric::SendCostTime;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn series(topic: &str) -> Series {
    Series {
        metric: METRIC,
        topic: TopicName::new(topic).unwrap(),
        group: None,
        success: Some(true),
    }
}

/// So many values of 3 ms since `began`.
fn counted(count: u64, began: Option<i64>) -> Point {
    let counts = Counts::new(METRIC, &[1.0, 5.0], &[0, count, 0], 3.0 * count as f64);
    Point::Histogram(Reported {
        counts: counts.unwrap(),
        began: began.map(at),
    })
}

fn metrics() -> ClientMetrics {
    ClientMetrics::new(at(1_000_000))
}

fn tell(metrics: &ClientMetrics, client: &str, point: Point, now: i64) -> usize {
    let instance = InstanceId::default_instance();
    metrics.report(&instance, client, vec![(series("orders"), point)], at(now))
}

fn total(metrics: &ClientMetrics) -> (u64, f64) {
    let tables = metrics.tables.lock();
    let table = &tables[&InstanceId::default_instance()];
    let counts = &table.histograms[&series("orders")].counts;
    (counts.buckets().iter().sum(), counts.sum())
}

#[test]
fn only_what_is_new_in_a_report_is_added() {
    let metrics = metrics();
    tell(&metrics, "a", counted(2, Some(1_000_001)), 1_060_000);
    tell(&metrics, "a", counted(5, Some(1_000_001)), 1_120_000);
    tell(&metrics, "b", counted(1, Some(1_000_002)), 1_120_000);
    assert_eq!(total(&metrics), (6, 18.0));
    // The client began anew.
    tell(&metrics, "a", counted(1, Some(1_130_000)), 1_180_000);
    assert_eq!(total(&metrics), (7, 21.0));
    // One that counts anew for each report.
    tell(&metrics, "c", counted(1, None), 1_180_000);
    tell(&metrics, "c", counted(1, None), 1_240_000);
    assert_eq!(total(&metrics), (9, 27.0));
}

#[test]
fn what_a_client_counted_before_the_server_began_is_not_added() {
    let metrics = metrics();
    tell(&metrics, "a", counted(500, Some(900_000)), 1_060_000);
    tell(&metrics, "a", counted(501, Some(900_000)), 1_120_000);
    assert_eq!(total(&metrics), (1, 3.0));
}

#[test]
fn bounds_of_other_clients_find_the_next_higher_one() {
    let counts = Counts::new(METRIC, &[0.5, 7.0, 9_000.0], &[1, 2, 3, 4], 1.0).unwrap();
    assert_eq!(counts.buckets(), [1, 0, 2, 0, 0, 0, 0, 7]);
    for (bounds, numbers, sum) in [
        (&[1.0][..], &[1][..], 0.0),
        (&[2.0, 1.0], &[1, 1, 1], 0.0),
        (&[f64::NAN], &[1, 1], 0.0),
        (&[1.0], &[1, 1], f64::INFINITY),
    ] {
        assert!(
            Counts::new(METRIC, bounds, numbers, sum).is_err(),
            "{bounds:?}"
        );
    }
}

#[test]
fn series_beyond_the_limit_are_left_out_and_counted() {
    let metrics = metrics();
    let instance = InstanceId::default_instance();
    let began = Some(1_000_001);
    let points = |from: usize, to: usize| -> Vec<(Series, Point)> {
        (from..to)
            .map(|topic| (series(&format!("topic-{topic}")), counted(1, began)))
            .collect()
    };
    let max = limits::CLIENT_METRICS_SERIES_MAX;
    assert_eq!(
        metrics.report(&instance, "a", points(0, max), at(1_000_100)),
        0
    );
    let more = points(max, max + 3);
    assert_eq!(
        metrics.report(&instance, "b", more.clone(), at(1_000_200)),
        3
    );
    assert_eq!(
        metrics.left_out[LeftOut::Limit as usize].load(Ordering::Relaxed),
        3
    );
    // Sums that nobody reports any more make room.
    let later = 1_000_200 + i64::try_from(limits::CLIENT_METRICS_EXPIRY_MS).unwrap() + 1_000;
    assert_eq!(metrics.report(&instance, "b", more, at(later)), 0);
}

#[test]
fn gauges_are_those_of_the_last_report_of_live_clients() {
    let metrics = metrics();
    let instance = InstanceId::default_instance();
    let gauge = |topic: &str, value| {
        let mut series = series(topic);
        series.metric = ClientMetric::CachedMessages;
        (series, Point::Gauge(value))
    };
    let sums = |now| {
        let tables = metrics.tables.lock();
        let gauges = tables[&instance].gauges(ClientMetric::CachedMessages, at(now));
        gauges
            .into_iter()
            .map(|(series, value)| (series.topic.as_str().to_owned(), value))
            .collect::<Vec<_>>()
    };
    let first = vec![gauge("orders", 3.0), gauge("bills", 1.0)];
    metrics.report(&instance, "a", first, at(1_000_000));
    metrics.report(&instance, "b", vec![gauge("orders", 4.0)], at(1_200_000));
    assert_eq!(
        sums(1_200_000),
        [("bills".to_owned(), 1.0), ("orders".to_owned(), 7.0)]
    );
    metrics.report(&instance, "a", vec![gauge("orders", 2.0)], at(1_200_000));
    assert_eq!(sums(1_200_000), [("orders".to_owned(), 6.0)]);
    assert_eq!(sums(1_600_000), []);
}
