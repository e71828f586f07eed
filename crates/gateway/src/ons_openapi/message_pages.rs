//! Pages of messages by time: what OnsMessagePageQueryByTopic and OnsDLQMessagePageQueryByGroupId
//! have in common.
//!
//! A task is no more than what the first page asked for: its times and the size of its pages, the
//! end no later than then. So pages stay what they were while messages come, and the server
//! remembers nothing.

use base::{Timestamp, TopicName, limits};
use broker::{BrowseRequest, Browsed};
use serde_json::json;

use super::{Fields, call::Call, message, status::Refusal};

const TASK_ID: &str = "TaskId";
const PAGE_SIZE_DEFAULT: i64 = 20;
const PAGE_SIZES: std::ops::RangeInclusive<i64> = 5..=limits::OPENAPI_PAGE_MESSAGES_MAX;
const PAGES: std::ops::RangeInclusive<i64> = 1..=limits::OPENAPI_PAGES_MAX;

/// What of a topic is asked for.
pub(super) struct Pages {
    from: i64,
    /// The first ms that does not belong to it.
    end: i64,
    size: i64,
    page: i64,
}

impl Pages {
    /// From the parameters of a request.
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let page = call.required_integer("CurrentPage")?;
        if !PAGES.contains(&page) {
            let (least, most) = (PAGES.start(), PAGES.end());
            let reason = format!("{page}, expected {least} to {most}");
            return Err(Refusal::field("CurrentPage", reason));
        }
        if let Some(task) = call.text(TASK_ID) {
            return Self::of_task(task, page).ok_or_else(|| {
                Refusal::invalid(TASK_ID, task, "one of an answer to the first page")
            });
        }
        let (from, to) = times(call)?;
        let size = call.integer("PageSize")?.unwrap_or(PAGE_SIZE_DEFAULT);
        if !PAGE_SIZES.contains(&size) {
            let (least, most) = (PAGE_SIZES.start(), PAGE_SIZES.end());
            let reason = format!("{size}, expected {least} to {most}");
            return Err(Refusal::field("PageSize", reason));
        }
        let now = call.now().ms();
        Ok(Self {
            from,
            end: to.saturating_add(1).min(now.saturating_add(1)),
            size,
            page,
        })
    }

    fn of_task(task: &str, page: i64) -> Option<Self> {
        let mut parts = task.split('-').map(|part| {
            let digits = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits.then(|| i64::from_str_radix(part, 16).ok()).flatten()
        });
        let mut next = || parts.next().flatten();
        let (from, end, size) = (next()?, next()?, next()?);
        let is_whole = parts.next().is_none();
        (is_whole && PAGE_SIZES.contains(&size)).then_some(Self {
            from,
            end,
            size,
            page,
        })
    }

    fn task(&self) -> String {
        format!("{:X}-{:X}-{:X}", self.from, self.end, self.size)
    }

    /// The request for one page of a topic.
    pub(super) fn request(&self, topic: TopicName) -> BrowseRequest {
        let skip = (self.page - 1).saturating_mul(self.size);
        BrowseRequest {
            topic,
            lite_topic: None,
            from: Timestamp::from_ms(self.from),
            to: Timestamp::from_ms(self.end),
            skip: skip.cast_unsigned(),
            max_messages: usize::try_from(self.size).unwrap_or(0),
        }
    }

    /// The answer.
    pub(super) fn answer(&self, call: &Call, browsed: &Browsed) -> Fields {
        let messages = browsed.messages.iter();
        let messages = messages.map(|found| message::described(call, found).into());
        let pages = browsed.total.div_ceil(self.size.cast_unsigned());
        let found = json!({
            "CurrentPage": self.page,
            "MaxPageCount": pages.min(PAGES.end().cast_unsigned()),
            "TaskId": self.task(),
            "MsgFoundList": {
                "OnsRestMessageDo": messages.collect::<Vec<serde_json::Value>>(),
            },
        });
        Fields::from_iter([("MsgFoundDo".to_owned(), found)])
    }
}

/// The times of a request, both belonging to it.
pub(super) fn times(call: &Call) -> Result<(i64, i64), Refusal> {
    let (from, to) = (
        call.required_integer("BeginTime")?,
        call.required_integer("EndTime")?,
    );
    if from < 0 || to < from {
        let reason = format!("{to}, expected a time from {from} on, which is no less than 0");
        return Err(Refusal::field("EndTime", reason));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_says_what_was_asked_for() {
        let pages = Pages {
            from: 1_700_000_000_000,
            end: 1_700_000_100_000,
            size: 20,
            page: 1,
        };
        let again = Pages::of_task(&pages.task(), 3).unwrap();
        assert_eq!(
            (again.from, again.end, again.size),
            (pages.from, pages.end, 20)
        );
        assert_eq!(again.request(TopicName::new("t").unwrap()).skip, 40);
        for wrong in [
            "", "1-2", "1-2-1000", "1-2-14-0", "-1-2-14", "+1-2-14", "x-y-z",
        ] {
            assert!(Pages::of_task(wrong, 1).is_none(), "{wrong}");
        }
    }
}
