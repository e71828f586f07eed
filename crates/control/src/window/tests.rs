//! Windows at every hour, on days with gaps and folds, and in zones picked at random.

use proptest::prelude::*;

use super::*;

const ZONES: &[&str] = &[
    "UTC",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Atlantic/Azores",
];

fn window(text: &str) -> Window {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

fn at(zone: &Zone, local: &str) -> Timestamp {
    zone.first_at(local.parse().unwrap())
}

fn next(zone_name: &str, text: &str, local: &str) -> String {
    let zone = zone(zone_name);
    zone.show(window(text).next_start(&zone, at(&zone, local)))
}

#[track_caller]
fn assert_open(text: &str, open: &[&str], closed: &[&str]) {
    let zone = zone("Asia/Shanghai");
    let is_open =
        |time: &str| window(text).is_open(&zone, at(&zone, &format!("2026-03-11T{time}")));
    for time in open {
        assert!(is_open(time), "{text} is closed at {time}");
    }
    for time in closed {
        assert!(!is_open(time), "{text} is open at {time}");
    }
}

#[test]
fn a_window_is_open_from_its_start_until_before_its_end() {
    assert_open(
        "02:00-06:00",
        &["02:00", "05:59:59.999"],
        &["01:59:59.999", "06:00"],
    );
    assert_eq!(window("02:00-06:00").minutes(), 240);
    assert_eq!(Window::default().to_string(), "02:00-06:00");
}

#[test]
fn a_window_may_cross_midnight() {
    assert_open("23:00-02:00", &["23:00", "01:59"], &["02:00", "22:59"]);
    assert_open("11:00-02:00", &["11:00", "01:59"], &["02:00", "10:59"]);
    assert_open("22:00-00:00", &["22:00", "23:59"], &["00:00", "21:59"]);
    assert_eq!(window("11:00-02:00").minutes(), 15 * 60);
    assert_eq!(window("22:00-00:00").minutes(), 2 * 60);
}

#[test]
fn a_window_that_ends_where_it_starts_is_the_whole_day() {
    assert_open(
        "05:00-05:00",
        &["00:00", "04:59", "05:00", "05:01", "23:59"],
        &[],
    );
    assert_eq!(window("05:00-05:00").minutes(), 24 * 60);
    assert_eq!(window("00:00-00:00").minutes(), 24 * 60);
}

#[test]
fn the_next_start_is_at_or_after_the_instant() {
    let next = |text, local: &str| next("Asia/Shanghai", text, local);
    assert_eq!(
        next("02:00-06:00", "2026-03-11T00:10"),
        "2026-03-11T02:00:00+08:00"
    );
    assert_eq!(
        next("02:00-06:00", "2026-03-11T02:00"),
        "2026-03-11T02:00:00+08:00"
    );
    assert_eq!(
        next("02:00-06:00", "2026-03-11T02:00:00.001"),
        "2026-03-12T02:00:00+08:00"
    );
    assert_eq!(
        next("23:00-02:00", "2026-03-11T00:30"),
        "2026-03-11T23:00:00+08:00"
    );
    assert_eq!(
        next("23:00-02:00", "2026-03-11T23:30"),
        "2026-03-12T23:00:00+08:00"
    );
    assert_eq!(
        next("00:00-00:00", "2026-12-31T00:00:01"),
        "2027-01-01T00:00:00+08:00"
    );
}

#[test]
fn a_start_in_a_gap_moves_to_the_end_of_the_gap() {
    let berlin = |text, local: &str| next("Europe/Berlin", text, local);
    assert_eq!(
        berlin("02:00-06:00", "2026-03-29T00:10"),
        "2026-03-29T03:00:00+02:00"
    );
    assert_eq!(
        berlin("02:30-06:00", "2026-03-29T00:10"),
        "2026-03-29T03:00:00+02:00"
    );
    assert_eq!(
        berlin("02:00-06:00", "2026-03-29T03:00"),
        "2026-03-29T03:00:00+02:00"
    );
    assert_eq!(
        berlin("02:00-06:00", "2026-03-29T03:01"),
        "2026-03-30T02:00:00+02:00"
    );
    // Midnight is skipped there.
    let beirut = next("Asia/Beirut", "00:00-04:00", "2026-03-28T12:00");
    assert_eq!(beirut, "2026-03-29T01:00:00+03:00");
    let apia = next("Pacific/Apia", "02:00-06:00", "2011-12-29T03:00");
    assert_eq!(apia, "2011-12-31T02:00:00+14:00");
}

#[test]
fn a_repeated_hour_opens_a_window_once() {
    let berlin = zone("Europe/Berlin");
    let window = window("02:00-03:00");
    let first = at(&berlin, "2026-10-25T02:00");
    assert_eq!(window.next_start(&berlin, first), first);
    let minute = 60_000;
    let later = |ms| Timestamp::from_ms(first.ms() + ms);
    assert!(window.is_open(&berlin, first));
    // From 02:00 the first time until 03:00, which is two hours later.
    assert!(window.is_open(&berlin, later(119 * minute)));
    assert!(!window.is_open(&berlin, later(120 * minute)));
    let next = window.next_start(&berlin, later(minute));
    assert_eq!(berlin.show(next), "2026-10-26T02:00:00+01:00");
}

#[test]
fn what_is_no_window_is_refused() {
    for text in [
        "",
        "-",
        "02:00",
        "2:00-6:00",
        "02:00-24:00",
        "02:60-03:00",
        "02:00~06:00",
        "02:00-06:00 ",
        "02:00-06:00-08:00",
        "+2:00-06:00",
        "0२:00-06:00",
        "02-06",
    ] {
        let error = text.parse::<Window>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")), "{error}");
        assert!(error.contains("HH:mm-HH:mm"), "{error}");
    }
    assert!(
        "9".repeat(100_000)
            .parse::<Window>()
            .unwrap_err()
            .text
            .len()
            <= 32
    );
}

fn windows() -> impl Strategy<Value = Window> {
    (0..MINUTES_OF_DAY, 0..MINUTES_OF_DAY).prop_map(|(start, end)| Window { start, end })
}

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(ZONES).prop_map(zone)
}

/// From 2000 to 2100, in milliseconds.
fn instants() -> impl Strategy<Value = Timestamp> {
    (946_684_800_000..4_102_444_800_000_i64).prop_map(Timestamp::from_ms)
}

proptest! {
    #[test]
    fn every_window_survives_its_text(window in windows()) {
        prop_assert_eq!(window.to_string().parse::<Window>(), Ok(window));
    }

    #[test]
    fn the_next_start_is_the_nearest_one(window in windows(), zone in zones(), at in instants()) {
        let start = window.next_start(&zone, at);
        prop_assert!(start >= at);
        // Asked at the start itself, it is the answer.
        prop_assert_eq!(window.next_start(&zone, start), start);
        // Nothing opens in between: the answer is the same from anywhere before it.
        let between = Timestamp::from_ms(at.ms() + (start.ms() - at.ms()) / 2);
        prop_assert_eq!(window.next_start(&zone, between), start);
        // A day and a gap at most, two days where a zone skips one.
        prop_assert!(start.ms() - at.ms() <= 49 * 3_600_000, "{}", zone.show(start));
        // The clocks show the start, or have just skipped it.
        let local = zone.local(start);
        let shown = local.hour() as u16 * 60 + local.minute() as u16;
        let just_before = zone.local(Timestamp::from_ms(start.ms() - 1));
        let steady = just_before.saturating_add(1.millisecond()) == local;
        prop_assert!(shown == window.start || !steady, "{}", zone.show(start));
        prop_assert_eq!(start.ms() % 60_000, 0);
    }

    #[test]
    fn a_window_opens_at_its_start_and_is_closed_before_it(
        window in windows(), zone in zones(), at in instants(),
    ) {
        let start = window.next_start(&zone, at);
        let before = Timestamp::from_ms(start.ms() - 1);
        if window.minutes() == MINUTES_OF_DAY {
            prop_assert!(window.is_open(&zone, start) && window.is_open(&zone, before));
        } else {
            // One that a gap swallows whole never opens that day.
            let swallowed = window.end_from(&zone, zone.date(start)) <= start;
            prop_assert!(swallowed || window.is_open(&zone, start), "{}", zone.show(start));
            // Only where the clocks skip the time between end and start is it open without end.
            let local = zone.local(start);
            let shown = local.hour() as u16 * 60 + local.minute() as u16;
            prop_assert!(
                shown != window.start || !window.is_open(&zone, before)
                    || window.minutes() > MINUTES_OF_DAY - 61,
                "{}", zone.show(start)
            );
        }
    }
}
