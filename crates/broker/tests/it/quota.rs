//! Quotas: what an instance with a plan may send and be handed out, and what it has used.

use std::{collections::BTreeMap, time::Duration};

use base::{Clock, InstanceId, Random, SeededRandom, ShardId};
use broker::{
    Budgeted, CreateGroupError, CreateTopicError, DueTimeError, Group, GroupSpec, PullError,
    QuotaError, ReceiveError, SendError, SendRequest, Series, TopicSpec, UsageRecord,
    plan::{Capacity, Edition, InstanceStatus, Plan, SendRatio, SubSeries},
};

use crate::support::{Bench, group, receive_request, request, topic};

const SECOND: Duration = Duration::from_secs(1);

/// 500 TPS, of which sends have so much.
pub(crate) fn micro(send_ratio: f64) -> Plan {
    let name = Some("rmq.s1.micro".to_owned());
    Plan {
        send_ratio: SendRatio::new(send_ratio).expect("the test's ratio is one"),
        ..Plan::new(Edition::Standard, SubSeries::SingleNode, name)
    }
}

fn with(plan: &Plan) -> Bench {
    with_at_node(ShardId::new(0), plan)
}

pub(crate) fn with_at_node(number: ShardId, plan: &Plan) -> Bench {
    let bench = Bench::at_node(number, Series::V5);
    let running = InstanceStatus::Running;
    let gone_by = bench.instance.go_by(Some(plan), running);
    gone_by.expect("the test's plan can be ordered");
    bench
}

/// Messages of so many bytes with these properties.
fn messages(count: usize, bytes: usize, properties: &[(&str, &str)]) -> SendRequest {
    let mut request = request(0, &vec!["x"; count]);
    let raw = wire::message::properties::encode(properties.iter().copied());
    let raw = raw.expect("the test's names are plain");
    for message in &mut request.messages {
        message.body = vec![b'x'; bytes].into();
        message.properties = raw.clone().into();
    }
    request
}

const FIFO: [(&str, &str); 1] = [("__SHARDINGKEY", "a")];
const DELAY: [(&str, &str); 1] = [("TIMER_DELAY_SEC", "86400")];

fn used(bench: &Bench) -> (u64, u64) {
    let metrics = bench.instance.metrics();
    (metrics.send_units, metrics.receive_units)
}

fn throttled(error: &SendError) -> Option<(&Budgeted, u64)> {
    match error {
        SendError::Quota(QuotaError::Throttled { budget, limit, .. }) => Some((budget, *limit)),
        _ => None,
    }
}

/// Sends single messages until one is refused; says how many were taken.
pub(crate) fn flood(bench: &Bench, attempts: usize) -> usize {
    let taken = (0..attempts).filter(|_| bench.run(bench.shard.send(request(0, &["x"]))).is_ok());
    taken.count()
}

#[test]
fn a_fifo_send_of_two_units_is_ten_and_its_delivery_two() {
    let bench = with(&micro(0.5));
    let sent = bench.run(bench.shard.send(messages(1, 4_097, &FIFO)));
    sent.unwrap();
    assert_eq!(used(&bench), (10, 0));
    assert!(bench.receive(10_000).is_some());
    assert_eq!(used(&bench), (10, 2));
    bench
        .run(bench.shard.send(messages(1, 4_096, &[])))
        .unwrap();
    bench.run(bench.shard.send(messages(1, 1, &DELAY))).unwrap();
    assert_eq!(used(&bench), (16, 2));
}

#[test]
fn sends_past_the_budget_of_a_second_are_refused() {
    let bench = with(&micro(0.05));
    assert_eq!(flood(&bench, 40), 25);
    let refused = bench.run(bench.shard.send(request(0, &["x"]))).unwrap_err();
    assert_eq!(throttled(&refused), Some((&Budgeted::Sends, 25)));
    assert_eq!(
        refused.to_string(),
        "messages flow control: sends of instance `default` are limited to 25 units a second"
    );
    bench.clock.advance(SECOND);
    assert_eq!(flood(&bench, 40), 25);
    assert_eq!(bench.instance.metrics().throttled_sends, 31);
    // Deliveries have a budget of their own.
    assert!(bench.receive(10_000).is_some());
}

#[test]
fn deliveries_past_the_budget_are_refused_and_paid_for_later() {
    let bench = with(&micro(0.95));
    for _ in 0..3 {
        bench.run(bench.shard.send(request(0, &["x"; 20]))).unwrap();
    }
    let mut receive = receive_request(None, 10_000, 0);
    receive.max_messages = 32;
    let received = bench.run(bench.shard.receive(receive.clone())).unwrap();
    assert_eq!(received.len(), 32);
    for _ in 0..2 {
        let refused = bench.run(bench.shard.receive(receive.clone())).unwrap_err();
        assert!(
            matches!(&refused, ReceiveError::Pull(PullError::Quota(_))),
            "{refused}"
        );
    }
    // Seven of them were for this second.
    bench.clock.advance(SECOND);
    receive.max_messages = 18;
    assert_eq!(
        bench
            .run(bench.shard.receive(receive.clone()))
            .unwrap()
            .len(),
        18
    );
    bench.run(bench.shard.receive(receive.clone())).unwrap_err();
    bench.clock.advance(SECOND);
    assert_eq!(bench.run(bench.shard.receive(receive)).unwrap().len(), 10);
    assert_eq!(bench.instance.metrics().throttled_receives, 3);
}

#[test]
fn topics_and_groups_have_limits_of_their_own() {
    let bench = Bench::of(Series::V5);
    let mut spec = TopicSpec::new(topic("orders"), 2);
    spec.attributes
        .insert(TopicSpec::MAX_SEND_TPS.into(), "3".into());
    bench.run(bench.instance.create_topic(spec)).unwrap();
    assert_eq!(flood(&bench, 9), 3);
    let refused = bench.run(bench.shard.send(request(0, &["x"]))).unwrap_err();
    assert_eq!(
        throttled(&refused),
        Some((&Budgeted::Topic(topic("orders")), 3))
    );
    let mut spec = GroupSpec::new(group("billing"));
    spec.settings
        .insert(GroupSpec::MAX_RECEIVE_TPS.into(), "2".into());
    bench.run(bench.instance.create_group(spec)).unwrap();
    assert!(bench.receive(10_000).is_some());
    assert!(bench.receive(10_000).is_some());
    let refused = bench.run(bench.shard.receive(receive_request(None, 10_000, 0)));
    assert!(matches!(
        refused,
        Err(ReceiveError::Pull(PullError::Quota(_)))
    ));
    bench.clock.advance(SECOND);
    assert!(bench.receive(10_000).is_some());
}

#[test]
fn a_stopped_instance_takes_and_hands_out_nothing() {
    let bench = with(&micro(0.5));
    bench.send(0, &["a"]);
    let stopped = InstanceStatus::Stopped;
    bench.instance.go_by(Some(&micro(0.5)), stopped).unwrap();
    let refused = bench.run(bench.shard.send(request(0, &["x"])));
    assert!(matches!(
        refused,
        Err(SendError::Quota(QuotaError::Stopped { .. }))
    ));
    let refused = bench.run(bench.shard.receive(receive_request(None, 10_000, 0)));
    assert!(matches!(
        refused,
        Err(ReceiveError::Pull(PullError::Quota(_)))
    ));
    let running = InstanceStatus::Running;
    bench.instance.go_by(Some(&micro(0.5)), running).unwrap();
    assert!(bench.receive(10_000).is_some());
}

#[test]
fn topics_groups_and_delays_are_those_of_the_edition() {
    let bench = with(&micro(0.5));
    for number in 1..300 {
        bench.create_topic(&format!("topic-{number}"));
    }
    let one_more = TopicSpec::new(topic("one-more"), 1);
    let refused = bench.run(bench.instance.create_topic(one_more));
    assert!(matches!(
        refused,
        Err(CreateTopicError::TooMany {
            count: 300,
            limit: 300
        })
    ));
    // What groups have for themselves is not counted.
    bench
        .run(bench.instance.retry_topic(&group("billing")))
        .unwrap();
    let create = |name: &str| -> Result<std::sync::Arc<Group>, CreateGroupError> {
        bench.run(bench.instance.create_group(GroupSpec::new(group(name))))
    };
    for number in 1..1_000 {
        create(&format!("group-{number}")).unwrap();
    }
    let refused = create("one-more");
    assert!(matches!(
        refused,
        Err(CreateGroupError::TooMany { limit: 1_000, .. })
    ));
    let week_ms = 7 * 24 * 60 * 60 * 1_000;
    let delayed = |ms: u64| {
        let ms = ms.to_string();
        let request = messages(1, 1, &[("TIMER_DELAY_MS", &ms)]);
        bench.run(bench.shard.send(request))
    };
    delayed(week_ms).unwrap();
    let Err(SendError::DueTime { source, .. }) = delayed(week_ms + 1) else {
        panic!("a delay past that of the edition was taken");
    };
    assert!(matches!(source, DueTimeError::TooLong { max_ms, .. } if max_ms == week_ms));
    let kept = bench.instance.planned_retention();
    assert_eq!(kept, Some(Duration::from_secs(72 * 60 * 60)));
}

#[test]
fn one_that_floods_takes_nothing_from_another() {
    let (flooding, quiet) = (with(&micro(0.05)), with(&micro(0.05)));
    for _ in 0..4 {
        assert_eq!(flood(&flooding, 250), 25);
        assert_eq!(flood(&quiet, 25), 25);
        flooding.clock.advance(SECOND);
        quiet.clock.advance(SECOND);
    }
    assert_eq!(quiet.instance.metrics().throttled_sends, 0);
    assert_eq!(flooding.instance.metrics().throttled_sends, 4 * 225);
}

/// What the billing rules say of a workload: every accepted send and every delivery, by time.
#[derive(Default)]
struct Model {
    by_second: BTreeMap<i64, (u64, u64)>,
    storage: BTreeMap<i64, u64>,
}

impl Model {
    fn records(&self, base_tps: u64, burst_tps: u64) -> Vec<UsageRecord> {
        let mut hours: BTreeMap<i64, UsageRecord> = BTreeMap::new();
        let idle = UsageRecord {
            unused_tps: base_tps,
            ..UsageRecord::default()
        };
        for (hour, bytes) in &self.storage {
            hours.entry(*hour).or_insert(idle).storage_bytes = *bytes;
        }
        for (second, (sends, deliveries)) in &self.by_second {
            let hour = hours.entry(second.div_euclid(3_600)).or_insert(idle);
            let unused = base_tps.saturating_sub(sends + deliveries);
            hour.unused_tps = hour.unused_tps.min(unused);
            hour.send_units += sends;
            hour.receive_units += deliveries;
            let excess = (sends + deliveries).saturating_sub(base_tps).min(burst_tps);
            hour.elastic_tps = hour.elastic_tps.max(excess);
        }
        let records = hours.into_iter().map(|(hour, record)| UsageRecord {
            hour_ms: hour * 3_600_000,
            ..record
        });
        records.collect()
    }
}

/// A random workload on an instance with elastic TPS, and what the model says of it.
fn metered(seed: u64) -> (Vec<UsageRecord>, Vec<UsageRecord>) {
    let name = Some("rmq.p2.2xlarge".to_owned());
    let mut plan = Plan::new(Edition::Professional, SubSeries::ClusterHa, name);
    plan.elastic = true;
    plan.send_ratio = SendRatio::new(0.95).expect("the test's ratio is one");
    let bench = with(&plan);
    // Messages come again and again; none becomes a dead letter.
    let mut spec = GroupSpec::new(group("billing"));
    spec.max_attempts = 1_000;
    let changed = bench.run(bench.instance.create_group(spec));
    changed.expect("the group may be so");
    let random = SeededRandom::new(seed);
    let (mut model, mut records) = (Model::default(), BTreeMap::new());
    for _ in 0..24 {
        let pause_ms = match random.below(4) {
            0 => random.below(50 * 60 * 1_000),
            _ => random.below(3_000),
        };
        bench.clock.advance(Duration::from_millis(pause_ms));
        bench.commit();
        bench.instance.look_at_storage();
        let second = bench.clock.now().ms().div_euclid(1_000);
        let log = bench.shard.log();
        let stored = log.durable_end().get() - log.start().get();
        model
            .storage
            .entry(second.div_euclid(3_600))
            .or_insert(stored);
        let is_busy = random.below(6) == 0;
        for _ in 0..if is_busy { 20 } else { random.below(12) } {
            let (sends, deliveries) = model.by_second.entry(second).or_default();
            if random.below(4) == 0 {
                let mut receive = receive_request(None, 10_000, 0);
                receive.max_messages = 32;
                let received = bench.run(bench.shard.receive(receive)).unwrap_or_default();
                let units = received.iter().map(|received| {
                    let bytes = received.message.body().len();
                    if bytes > 4_096 { 2 } else { 1 }
                });
                *deliveries += units.sum::<u64>();
                continue;
            }
            let (count, bytes) = match random.below(3) {
                0 => (1, 4_000 + random.below(200) as usize),
                _ if is_busy => (40, 1),
                _ => (1 + random.below(40) as usize, 1 + random.below(20) as usize),
            };
            let (properties, factor) = match random.below(4) {
                0 => (&DELAY[..], 5),
                1 | 2 => (&FIFO[..], 5),
                _ => (&[][..], 1),
            };
            let request = messages(count, bytes, properties);
            if bench.run(bench.shard.send(request)).is_ok() {
                *sends += count as u64 * factor * if bytes > 4_096 { 2 } else { 1 };
            }
        }
        if random.below(3) == 0 {
            let told = bench.instance.usage();
            records.extend(told.into_iter().map(|record| (record.hour_ms, record)));
        }
    }
    let told = bench.instance.usage();
    records.extend(told.into_iter().map(|record| (record.hour_ms, record)));
    (records.into_values().collect(), model.records(2_000, 1_000))
}

#[test]
fn usage_agrees_with_a_model_to_the_unit() {
    let mut elastic = 0;
    for seed in 1..=3 {
        let (told, expected) = metered(seed);
        assert_eq!(told, expected, "seed {seed}");
        assert!(told.len() > 2, "seed {seed}: {told:?}");
        elastic += expected
            .iter()
            .filter(|record| record.elastic_tps > 0)
            .count();
    }
    assert!(elastic > 0, "no second was above the base");
}

#[test]
fn what_is_stored_is_that_at_the_start_of_the_hour() {
    let bench = with(&micro(0.5));
    assert_eq!(bench.instance.id(), &InstanceId::default_instance());
    bench.clock.advance(Duration::from_secs(60 * 60));
    bench.instance.look_at_storage();
    bench.send(0, &["a", "b"]);
    bench.instance.look_at_storage();
    let before = bench.instance.usage().pop().unwrap();
    bench.clock.advance(Duration::from_secs(60 * 60));
    bench.instance.look_at_storage();
    let records = bench.instance.usage();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], before);
    assert!(records[1].storage_bytes > before.storage_bytes);
    assert_eq!((records[0].send_units, records[1].send_units), (2, 0));
}

/// Presses against the limit for a second in each of so many minutes; says how many sends of 500
/// units the last of them had.
pub(crate) fn press(bench: &Bench, minutes: usize) -> usize {
    let mut taken = 0;
    for _ in 0..minutes {
        bench.clock.advance(60 * SECOND);
        let sends = (0..12).map(|_| bench.run(bench.shard.send(messages(100, 1, &FIFO))));
        taken = sends.filter(Result::is_ok).count();
    }
    taken
}

pub(crate) fn serverless(capacity: Capacity, adaptive: bool) -> Plan {
    Plan {
        capacity: Some(capacity),
        adaptive,
        send_ratio: SendRatio::new(0.95).expect("the test's ratio is one"),
        ..Plan::new(Edition::Standard, SubSeries::Serverless, None)
    }
}

#[test]
fn a_limit_follows_the_traffic_where_the_plan_says_so_and_is_charged_for() {
    let reserved = Capacity::Provisioned { tps: 1_000 };
    let fixed = with(&serverless(reserved, false));
    assert_eq!(press(&fixed, 8), 3);

    let bench = with(&serverless(reserved, true));
    assert_eq!(press(&bench, 3), 3);
    // The fourth minute begins with a step more, as much as is reserved.
    assert_eq!(press(&bench, 1), 5);
    let hour = bench.instance.usage();
    assert_eq!(hour.last().map(|hour| hour.elastic_tps), Some(1_500));
    // The next step takes as long again.
    assert_eq!(press(&bench, 2), 5);
    assert_eq!(press(&bench, 1), 7);
    // What the plan says of something else leaves what has grown.
    let (same, running) = (serverless(reserved, true), InstanceStatus::Running);
    bench.instance.go_by(Some(&same), running).unwrap();
    assert_eq!(press(&bench, 1), 7);
    // Nobody sends for ten minutes, twice.
    for expected in [5, 3] {
        for _ in 0..10 {
            bench.clock.advance(60 * SECOND);
            bench.instance.look_at_storage();
        }
        assert_eq!(press(&bench, 1), expected);
    }
}

#[test]
fn a_limit_that_nobody_presses_against_stays_and_never_grows_beyond_the_largest() {
    let bench = with(&serverless(Capacity::Provisioned { tps: 1_000 }, true));
    for _ in 0..30 {
        bench.clock.advance(60 * SECOND);
        bench
            .run(bench.shard.send(messages(100, 1, &FIFO)))
            .unwrap();
    }
    assert_eq!(press(&bench, 1), 3);
    let most = serverless(Capacity::Provisioned { tps: 1_000_000 }, true);
    let entitlement = most.entitlement().unwrap();
    let growth = entitlement.growth.unwrap();
    assert_eq!((growth.step_tps, growth.tps_max), (1_000_000, 2_000_000));
    assert_eq!(entitlement.tps(), growth.tps_max);
    // What nobody reserved is paid for by the message, whatever it grows to.
    let on_demand = serverless(Capacity::OnDemand, true).entitlement().unwrap();
    let grown = on_demand.grown(25_000);
    assert_eq!(
        (grown.base_tps, grown.burst_tps, grown.send_tps),
        (50_000, 0, 47_500)
    );
}
