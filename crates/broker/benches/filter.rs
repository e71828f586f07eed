//! What an SQL92 filter costs: reading the expression once, and asking it for every message.

use std::hint::black_box;

use broker::SqlFilter;
use criterion::{Criterion, criterion_group, criterion_main};

/// Properties as a message has them; the two that the expressions ask for are the last ones.
const PROPERTIES: &str = "KEYS\u{1}order-4711\u{2}UNIQ_KEY\u{1}7F0000010BC018B4AAC203BCAF130000\u{2}\
    WAIT\u{1}true\u{2}TAGS\u{1}paid\u{2}region\u{1}north\u{2}price\u{1}17\u{2}";

const EXPRESSIONS: [(&str, &str); 3] = [
    ("comparison", "price > 10"),
    (
        "list and range",
        "region IN ('north', 'south') AND price BETWEEN 10 AND 20",
    ),
    (
        "much",
        "(price >= 10 AND price <= 20 OR price IS NULL) AND NOT (region = 'west') \
         AND TAGS IS NOT NULL AND region <> 'east' AND price <> 18",
    ),
];

fn sql(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sql filter");
    for (name, expression) in EXPRESSIONS {
        group.bench_function(format!("parse {name}"), |bencher| {
            bencher.iter(|| black_box(SqlFilter::parse(black_box(expression))));
        });
        let filter = SqlFilter::parse(expression).expect("the expression is one");
        assert!(filter.matches(PROPERTIES), "{expression} matches");
        group.bench_function(format!("match {name}"), |bencher| {
            bencher.iter(|| black_box(filter.matches(black_box(PROPERTIES))));
        });
    }
    group.finish();
}

criterion_group!(benches, sql);
criterion_main!(benches);
