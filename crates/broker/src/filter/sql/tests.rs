use base::limits;

use super::*;

/// Properties as they are stored, from `name=value` joined by `;`.
fn stored(properties: &str) -> String {
    let entries = properties.split(';').filter(|entry| !entry.is_empty());
    entries
        .map(|entry| entry.replacen('=', "\u{1}", 1) + "\u{2}")
        .collect()
}

fn matches(expression: &str, properties: &str) -> bool {
    let filter = SqlFilter::parse(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    filter.matches(&stored(properties))
}

// Every row was compared with `SelectorParser` and `Expression.evaluate` of RocketMQ 5.5.0.
#[test]
fn expressions_select_as_on_apache() {
    for (expression, properties, expected) in [
        // Comparison with numbers: the literal decides how the property is read.
        ("a = 5", "a=5", true),
        ("a = 5", "a=+5", true),
        ("a = 5", "a=05", true),
        ("a = 5", "a=5.0", false),
        ("a = 5", "a= 5", false),
        ("a = 5.0", "a= 5 ", true),
        ("a = 5.0", "a=5d", true),
        ("a <> 5", "a=6", true),
        ("a <> 5", "a=x", false),
        ("a > 5", "a=3000000000", false),
        ("a > 5.5", "a=3000000000", true),
        ("a > 2147483648", "a=3000000000", true),
        ("a > -5", "a=-4", true),
        ("5 < a", "a=6", true),
        ("a >= 5L", "a=5", true),
        ("a < .5e1", "a=4.9", true),
        ("a < 1.0", "a=NaN", false),
        ("a > 1.0", "a=NaN", true),
        ("a > b", "a=10;b=9", true),
        ("a > b", "a=x;b=9", false),
        ("a = b", "a=5;b=5.0", false),
        ("1 = 1", "", true),
        ("1 = 1.0", "", true),
        ("1 < 2", "", true),
        // Texts.
        ("a = 'x'", "a=x", true),
        ("a = 'X'", "a=x", false),
        ("a = '5'", "a=5", true),
        ("a = 'it''s'", "a=it's", true),
        ("a = ''", "a=x", false),
        ("'x' = a", "a=x", true),
        ("a = '中文'", "a=中文", true),
        // Truths: texts are no truths, and become one only beside TRUE or FALSE.
        ("TRUE", "", true),
        ("FALSE", "", false),
        ("NULL", "", false),
        ("a", "a=true", false),
        ("NOT a", "a=true", true),
        ("NOT a", "", false),
        ("a = TRUE", "a=True", true),
        ("a = FALSE", "a=x", true),
        ("TRUE = a", "a=true", false),
        ("(a > 1) = TRUE", "a=2", true),
        ("(a > 1) = 1", "a=2", false),
        ("NOT a = FALSE", "a=x", false),
        ("NOT (a = 1)", "a=2", true),
        // What is not there.
        ("a IS NULL", "", true),
        ("a IS NULL", "a=x", false),
        ("a IS NOT NULL", "a=x", true),
        ("a is not null", "", false),
        ("a = 1", "", false),
        ("a <> 1", "", false),
        ("NOT (a = 1)", "", false),
        ("1 <> a", "", true),
        ("a = b", "", true),
        ("a <> b", "a=x", true),
        ("a > 1 OR b = 1", "b=1", true),
        ("NOT (a > 1 AND b = 1)", "b=2", true),
        ("NOT (a > 1 AND b = 1)", "b=1", false),
        ("NOT (a > 1 OR b = 1)", "b=2", false),
        ("a = 1 IS NULL", "", true),
        ("-a IS NULL", "a=5", true),
        // A mismatch ends everything, unless it is not looked at.
        ("a > 1 OR b = 1", "a=x;b=1", false),
        ("b = 1 OR a > 1", "a=x;b=1", true),
        ("NOT (a > 1)", "a=x", false),
        ("NOT (b = 2 AND a > 1)", "a=x;b=1", true),
        ("a > 1 IS NULL", "a=x", false),
        // BETWEEN.
        ("a BETWEEN 1 AND 5", "a=1", true),
        ("a BETWEEN 1 AND 5", "a=5", true),
        ("a BETWEEN 1 AND 5", "a=6", false),
        ("a BETWEEN 1 AND 5", "", false),
        ("a NOT BETWEEN 1 AND 5", "a=6", true),
        ("a NOT BETWEEN 1 AND 5", "a=3", false),
        ("a NOT BETWEEN 1 AND 5", "", false),
        ("a NOT BETWEEN 5 AND 1", "a=3", true),
        ("a BETWEEN b AND c", "a=2;b=1;c=3", true),
        ("a BETWEEN b AND c", "a=2;b=1", false),
        ("NOT (a BETWEEN b AND c)", "a=2;b=3", true),
        ("a BETWEEN -5 AND -1", "a=-3", true),
        ("3 BETWEEN 1 AND a", "a=5", true),
        ("a BETWEEN 1 AND 5 AND b = 'x'", "a=3;b=x", true),
        // IN.
        ("a IN ('x', 'y')", "a=y", true),
        ("a IN ('x', 'y')", "a=z", false),
        ("a IN ('x')", "", false),
        ("a NOT IN ('x', 'y')", "a=z", true),
        ("a NOT IN ('x', 'y')", "a=x", false),
        ("a NOT IN ('x', 'y')", "", false),
        ("(a) in ('y','x','y')", "a=y", true),
        // Parts of texts: never unknown.
        ("a CONTAINS 'b'", "a=abc", true),
        ("a CONTAINS 'x'", "a=abc", false),
        ("a NOT CONTAINS 'x'", "a=abc", true),
        ("a NOT CONTAINS 'x'", "", false),
        ("NOT (a CONTAINS 'x')", "", true),
        ("a CONTAINS ''", "a=abc", false),
        ("a NOT CONTAINS ''", "a=abc", false),
        ("a STARTSWITH 'ab'", "a=abc", true),
        ("a NOT STARTSWITH 'ab'", "a=abc", false),
        ("a ENDSWITH 'bc'", "a=abc", true),
        ("a NOT endswith 'ab'", "a=abc", true),
        ("'abc' CONTAINS 'b'", "", true),
        ("1 CONTAINS '1'", "", false),
        // Precedence, names, blanks and comments.
        ("a = 1 OR b = 1 AND c = 1", "a=1", true),
        ("(a = 1 OR b = 1) AND c = 1", "a=1", false),
        ("a = 1 = TRUE", "a=1", true),
        ("TAGS = 't' AND KEYS IS NOT NULL", "TAGS=t;KEYS=k", true),
        ("tags IS NULL", "TAGS=t", true),
        ("$a_1 = 1 and _b = 2", "$a_1=1;_b=2", true),
        ("\t a\r\n=\u{c}1 ", "a=1", true),
        ("a /* * / */ = -- one\n 1", "a=1", true),
        ("a = --1", "a=1", true),
        ("a = - -1", "a=1", true),
        ("a = +1", "a=1", true),
        // Behind a complete expression.
        ("a = 1 b = 2", "a=1;b=3", true),
        ("a = 1)", "a=1", true),
        ("a = 12abc", "a=12", true),
        ("a = 0x10", "a=0", true),
        ("a = 007", "a=0", true),
        ("a LIKE 'x%'", "a=x", false),
    ] {
        let found = matches(expression, properties);
        assert_eq!(found, expected, "{expression} on {properties}");
    }
}

#[test]
fn of_several_properties_of_one_name_the_last_counts() {
    assert!(matches("a = 'y'", "a=x;a=y"));
    // The last separator may be missing.
    assert!(SqlFilter::parse("a = 'y'").unwrap().matches("a\u{1}y"));
}

#[test]
fn expressions_may_name_any_number_of_properties() {
    let named: Vec<String> = (0..40).map(|n| format!("p{n} = {n}")).collect();
    let there: Vec<String> = (0..40).map(|n| format!("p{n}={n}")).collect();
    let filter = named.join(" AND ");
    assert!(matches(&filter, &there.join(";")));
    assert!(!matches(&filter, &there[1..].join(";")));
}

#[test]
fn a_refusal_names_place_find_and_expectation() {
    for (expression, position, found, expected) in [
        (
            "",
            1,
            "the end",
            "a property, a literal, NOT, a sign or `(`",
        ),
        (
            "a = ",
            5,
            "the end",
            "a property, a literal, NOT, a sign or `(`",
        ),
        (
            "a == 1",
            4,
            "`=`",
            "a property, a literal, NOT, a sign or `(`",
        ),
        ("中 = 1", 1, "`中`", "a name, a literal or an operator"),
        (
            "a = '中' && b",
            9,
            "`&`",
            "a name, a literal or an operator",
        ),
        ("a = 'x", 5, "a text without end", "a quote behind it"),
        ("a = /* x", 5, "a comment without end", "`*/` behind it"),
        ("(a = 1", 7, "the end", "an operator or `)`"),
        (
            "'x'",
            1,
            "`'x'`",
            "a comparison, a property or another condition",
        ),
        (
            "a = 1 AND 5",
            11,
            "`5`",
            "a comparison, a property or another condition",
        ),
        ("a > 'x'", 5, "`'x'`", "a number or a property"),
        ("(a = 1) > 2", 1, "`(`", "a number or a property"),
        (
            "a = NULL",
            5,
            "NULL",
            "a value (IS NULL tells whether there is none)",
        ),
        ("TRUE = 1", 8, "`1`", "TRUE, FALSE or a property"),
        ("a IS 1", 6, "`1`", "NULL or NOT NULL"),
        ("a IN ()", 7, "`)`", "a text in quotes"),
        ("a IN (1)", 7, "`1`", "a text in quotes"),
        ("a IN ('x' 'y')", 11, "`'y'`", "`,` or `)`"),
        ("5 IN ('x')", 1, "`5`", "a property before IN"),
        (
            "a NOT 5",
            7,
            "`5`",
            "CONTAINS, STARTSWITH, ENDSWITH, BETWEEN or IN behind NOT",
        ),
        ("a CONTAINS b", 12, "`b`", "a text in quotes"),
        ("a BETWEEN 1", 12, "the end", "AND and the upper bound"),
        (
            "a BETWEEN 2 AND 1",
            17,
            "`1`",
            "an upper bound not below the lower bound",
        ),
        (
            "a = 9223372036854775808",
            5,
            "`9223372036854775808`",
            "a number of at most 64 bits",
        ),
        (
            "a = 0.0",
            5,
            "`0.0`",
            "a floating number above 0 and below 1.8e308",
        ),
        (
            "a = 1e400",
            5,
            "`1e400`",
            "a floating number above 0 and below 1.8e308",
        ),
    ] {
        let error = SqlFilter::parse(expression).unwrap_err();
        let found = found.to_owned();
        let wanted = SqlError::Unexpected {
            position,
            found,
            expected,
        };
        assert_eq!(error, wanted, "{expression}");
    }
}

#[test]
fn limits_hold_and_no_depth_overflows_the_stack() {
    let deep = limits::SQL_FILTER_DEPTH_MAX - 3;
    let nested = |depth: usize| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(matches(&nested(deep), "a=1"));
    let chain = |count: usize| format!("a = 1{}", " = TRUE".repeat(count));
    assert!(matches(&chain(deep), "a=1"));
    // Operands side by side are not nested.
    assert!(matches(&vec!["a = 1"; 2_000].join(" OR "), "a=1"));
    for expression in [
        nested(5_000),
        chain(3_000),
        "-".repeat(20_000) + "1",
        "NOT ".repeat(5_000) + "a",
        "(a BETWEEN ".repeat(2_000),
        "a CONTAINS 'x' ".to_owned() + &"CONTAINS 'x' ".repeat(1_000),
        "a".to_owned() + &" IS NULL".repeat(1_000),
        "a > 1 OR (".repeat(2_000),
    ] {
        let refused = SqlFilter::parse(&expression).unwrap_err();
        assert!(matches!(refused, SqlError::TooDeep { .. }), "{refused}");
    }

    let list = |count: usize| format!("a IN ({})", vec!["'x'"; count].join(","));
    assert!(matches(&list(limits::SQL_FILTER_ITEMS_MAX), "a=x"));
    let refused = SqlFilter::parse(&list(limits::SQL_FILTER_ITEMS_MAX + 1)).unwrap_err();
    assert!(matches!(
        refused,
        SqlError::TooManyItems { position: 6, .. }
    ));

    let long = format!("a = '{}'", "x".repeat(limits::SQL_FILTER_BYTES_MAX));
    let refused = SqlFilter::parse(&long).unwrap_err();
    assert!(matches!(refused, SqlError::TooLong { .. }));
}
