//! Receipts of popped messages: the text that a client puts together from the answer to a pop, and
//! the parts of the answer that it does so from. Source: `ExtraInfoUtil` of RocketMQ 5.5.0.

use std::{collections::BTreeMap, fmt, fmt::Write as _};

/// Between the parts of a receipt.
const SEPARATOR: char = ' ';

/// Longest receipt that is shown in an error, in characters.
const SHOWN_CHARACTERS_MAX: usize = 128;

/// What a client shows to settle a message: `startOffset popTime invisibleTime reviveQid retry
/// brokerName queueId queueOffset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PopReceipt<'a> {
    /// First offset of its queue in the answer.
    pub start_offset: i64,
    /// When the message was given out, ms since 1970.
    pub pop_timestamp: i64,
    /// How long it stays invisible, ms.
    pub invisible_ms: i64,
    /// A number that only the server reads.
    pub revive_queue_id: i32,
    /// As in [`retry_flag`].
    pub retry: &'a str,
    /// The broker.
    pub broker_name: &'a str,
    /// The queue.
    pub queue_id: i32,
    /// Offset of the message; some old clients leave it out.
    pub queue_offset: Option<i64>,
}

/// A text is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("receipt `{start}` is malformed, expected the one that came with the message")]
pub struct PopReceiptError {
    /// First characters of the text.
    pub start: String,
}

impl<'a> PopReceipt<'a> {
    /// Reads a receipt.
    ///
    /// # Errors
    /// When parts are missing, too many or no numbers.
    pub fn parse(text: &'a str) -> Result<Self, PopReceiptError> {
        let parse = || {
            let mut parts = Parts(Some(text));
            let receipt = Self {
                start_offset: parts.next()?.parse().ok()?,
                pop_timestamp: parts.next()?.parse().ok()?,
                invisible_ms: parts.next()?.parse().ok()?,
                revive_queue_id: parts.next()?.parse().ok()?,
                retry: parts.next()?,
                broker_name: parts.next()?,
                queue_id: parts.next()?.parse().ok()?,
                queue_offset: match parts.next() {
                    Some(offset) => Some(offset.parse().ok()?),
                    None => None,
                },
            };
            parts.next().is_none().then_some(receipt)
        };
        parse().ok_or_else(|| PopReceiptError {
            start: text.chars().take(SHOWN_CHARACTERS_MAX).collect(),
        })
    }
}

/// The parts of a receipt, as `str::split` gives them: that is made for long texts, and a receipt
/// comes with every ack.
struct Parts<'a>(Option<&'a str>);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let Some(end) = rest.bytes().position(|byte| byte == SEPARATOR as u8) else {
            return self.0.take();
        };
        self.0 = Some(&rest[end + 1..]);
        Some(&rest[..end])
    }
}

/// As clients write it.
impl fmt::Display for PopReceipt<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            start_offset,
            pop_timestamp,
            invisible_ms,
            revive_queue_id,
            retry,
            broker_name,
            queue_id,
            queue_offset,
        } = self;
        write!(
            out,
            "{start_offset} {pop_timestamp} {invisible_ms} {revive_queue_id} "
        )?;
        write!(out, "{retry} {broker_name} {queue_id}")?;
        queue_offset.map_or(Ok(()), |offset| write!(out, " {offset}"))
    }
}

/// Reads the field `startOffsetInfo` of the answer to a pop: the least offset per queue. Where
/// queues of a retry topic are told as well, those of the topic itself count.
///
/// # Errors
/// When parts are missing or no numbers.
pub fn start_offsets(text: &str) -> Result<BTreeMap<u32, i64>, PopReceiptError> {
    let mut starts = BTreeMap::new();
    for queue in text.split(';').filter(|queue| !queue.is_empty()) {
        let parse = || {
            let mut parts = queue.split(SEPARATOR);
            let flag = parts.next()?;
            let start = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next().is_none().then_some((flag, start))
        };
        let (flag, (queue_id, offset)) = parse().ok_or_else(|| PopReceiptError {
            start: text.chars().take(SHOWN_CHARACTERS_MAX).collect(),
        })?;
        if flag == "0" {
            starts.insert(queue_id, offset);
        }
    }
    Ok(starts)
}

/// How receipts tell a retry topic from others: `1`, and `0`.
pub fn retry_flag(topic: &str) -> char {
    if topic.starts_with("%RETRY%") {
        '1'
    } else {
        '0'
    }
}

/// The fields `startOffsetInfo` and `msgOffsetInfo` of the answer to a pop: per queue the least and
/// all of the offsets given out, the latter in the order of the messages.
pub fn offset_info(topic: &str, offsets: &BTreeMap<u32, Vec<i64>>) -> (String, String) {
    let (mut starts, mut all) = (String::new(), String::new());
    let flag = retry_flag(topic);
    for (queue, offsets) in offsets {
        let Some(start) = offsets.iter().min() else {
            continue;
        };
        let separator = if starts.is_empty() { "" } else { ";" };
        write!(starts, "{separator}{flag} {queue} {start}").expect("a string takes all");
        write!(all, "{separator}{flag} {queue} ").expect("a string takes all");
        for (index, offset) in offsets.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(all, "{separator}{offset}").expect("a string takes all");
        }
    }
    (starts, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_has_eight_parts() {
        let text = "5 1700000000000 60000 2147483647 0 default-0 3 7";
        let receipt = PopReceipt::parse(text).unwrap();
        let wanted = PopReceipt {
            start_offset: 5,
            pop_timestamp: 1_700_000_000_000,
            invisible_ms: 60_000,
            revive_queue_id: i32::MAX,
            retry: "0",
            broker_name: "default-0",
            queue_id: 3,
            queue_offset: Some(7),
        };
        assert_eq!(receipt, wanted);
        assert_eq!(receipt.to_string(), text);
        let short = PopReceipt::parse("5 1700000000000 60000 2147483647 0 default-0 3").unwrap();
        assert_eq!(short.queue_offset, None);
        assert_eq!(
            short.to_string(),
            "5 1700000000000 60000 2147483647 0 default-0 3"
        );
        for bad in [
            "",
            "5",
            "5 1 1 1 0 b",
            "5 1 1 1 0 b 3 7 9",
            "5 1 1 1 0 b 3 ",
            "5 1 1 9999999999 0 b 3 7",
            "x 1 1 1 0 b 3 7",
            "5  1 1 1 0 b 3 7",
        ] {
            assert!(PopReceipt::parse(bad).is_err(), "{bad}");
        }
        let error = PopReceipt::parse(&"é".repeat(1_000)).unwrap_err();
        assert_eq!(error.start.chars().count(), SHOWN_CHARACTERS_MAX);
    }

    #[test]
    fn offsets_are_told_by_queue() {
        let offsets = BTreeMap::from([(0, vec![7, 5, 9]), (2, vec![1]), (3, Vec::new())]);
        let (starts, all) = offset_info("orders", &offsets);
        assert_eq!(starts, "0 0 5;0 2 1");
        assert_eq!(
            start_offsets(&starts).unwrap(),
            BTreeMap::from([(0, 5), (2, 1)])
        );
        assert_eq!(start_offsets("1 0 3;0 0 7").unwrap(), [(0, 7)].into());
        for bad in ["0 0", "0 0 5 6", "0 x 5", "5"] {
            assert!(start_offsets(bad).is_err(), "{bad}");
        }
        assert_eq!(all, "0 0 7,5,9;0 2 1");
        let (starts, _) = offset_info("%RETRY%billing", &offsets);
        assert_eq!(starts, "1 0 5;1 2 1");
    }
}
