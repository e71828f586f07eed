//! ListMessages and GetMessageDetail: messages found by id, by key, or by topic and time.

use base::{LiteTopicName, Timestamp, limits};
use broker::{BrowseRequest, Browsed, QueryError, QueryRequest};
use serde_json::{Value, json};
use wire::{message::StoredMessage, message::properties};

use super::{
    call::Call,
    forward::{STORED, Window},
    message,
    page::Page,
    status::{Code, Refusal},
};

const LITE_TOPIC: &str = "liteTopicName";

/// The messages that a request asks for, and how many there are on all pages.
pub(super) struct Found {
    pub(super) page: Page,
    pub(super) messages: Vec<StoredMessage>,
    pub(super) total: u64,
    /// What keeps the pages what they are while messages come.
    pub(super) scroll_id: String,
}

/// Which page of messages a request asks for.
pub(super) fn page(call: &Call) -> Page {
    Page::of(call, 1, limits::BROWSE_MESSAGES_MAX as i64)
}

/// Whether a request asks for messages by time alone: they are told queue by queue. Others are told
/// the newest first.
pub(super) fn is_by_time(call: &Call) -> bool {
    call.text("messageId").is_none() && call.text("messageKey").is_none()
}

/// Finds what a request asks for: `messageId` before `messageKey` before times.
pub(super) async fn find(call: &Call) -> Result<Found, Refusal> {
    let topic = call.topic()?.name().clone();
    let page = page(call);
    let lite_topic = match call.text(LITE_TOPIC) {
        Some(_) => Some(call.name(LITE_TOPIC, LiteTopicName::new)?),
        None => None,
    };
    let window = call.note.window.unwrap_or(Window {
        skip: page.skipped(),
        count: usize::try_from(page.size).unwrap_or(0),
        now_ms: call.now().ms(),
    });
    let span = Span::of(call, window.now_ms)?;
    if is_by_time(call) {
        let span = match call.text("scrollId") {
            Some(id) => Span::scrolled(id)
                .ok_or_else(|| Refusal::invalid("scrollId", id, "one of an answer"))?,
            None => span,
        };
        check_number(page)?;
        let request = BrowseRequest {
            topic,
            lite_topic,
            from: Timestamp::from_ms(span.from),
            to: Timestamp::from_ms(span.end),
            skip: window.skip,
            max_messages: window.count,
        };
        let Browsed { messages, total } = call.shard()?.browse(request).await?;
        let scroll_id = format!("{:X}-{:X}", span.from, span.end);
        return Ok(Found {
            page,
            messages,
            total,
            scroll_id,
        });
    }
    let mut found = match call.text("messageId") {
        Some(id) => match call.shard()?.find(&topic, id).await {
            Ok(message) => vec![message],
            Err(QueryError::MessageNotFound { .. } | QueryError::IdNotFound { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        },
        None => {
            let request = QueryRequest {
                topic,
                key: call.required("messageKey")?.to_owned(),
                max_messages: limits::QUERY_MESSAGES_MAX,
                from: Timestamp::from_ms(span.from),
                to: Timestamp::from_ms(span.end.saturating_sub(1)),
            };
            call.shard()?.query(request).await?
        }
    };
    found.retain(|message| {
        let name = message.property(properties::LITE_TOPIC).unwrap_or_default();
        let is_asked = lite_topic
            .as_ref()
            .is_none_or(|asked| asked.as_str() == name);
        is_asked && (span.from..span.end).contains(&message.store_timestamp())
    });
    let total = found.len() as u64;
    let skipped = usize::try_from(window.skip).unwrap_or(usize::MAX);
    let messages = found.into_iter().skip(skipped).take(window.count);
    let messages = messages.collect();
    Ok(Found {
        page,
        messages,
        total,
        scroll_id: String::new(),
    })
}

/// When messages were stored, ms since 1970; the end does not belong to it.
struct Span {
    from: i64,
    end: i64,
}

impl Span {
    fn of(call: &Call, now_ms: i64) -> Result<Self, Refusal> {
        let (from, to) = (call.time("startTime")?, call.time("endTime")?);
        let from = from.map_or(0, Timestamp::ms);
        // Times are told in whole seconds, and the last belongs to it. What comes later than now
        // is on no page.
        let now = now_ms.saturating_add(1);
        let end = to.map_or(now, |to| to.ms().saturating_add(1_000).min(now));
        if to.is_some_and(|to| to.ms() < from) {
            let reason = "it is before startTime";
            return Err(Refusal::field("endTime", reason));
        }
        Ok(Self { from, end })
    }

    fn scrolled(id: &str) -> Option<Self> {
        let (from, end) = id.split_once('-')?;
        let read = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits.then(|| i64::from_str_radix(text, 16).ok()).flatten()
        };
        let (from, end) = (read(from)?, read(end)?);
        Some(Self { from, end })
    }
}

fn check_number(page: Page) -> Result<(), Refusal> {
    let max = limits::OPENAPI_PAGES_MAX;
    if page.number > max {
        let reason = format!("{}, expected at most {max}: narrow the times", page.number);
        return Err(Refusal::field("pageNumber", reason));
    }
    Ok(())
}

impl Found {
    /// The answer with the messages as `shown`.
    pub(super) fn answer(&self, call: &Call, shown: impl Fn(&StoredMessage) -> Value) -> Value {
        let list = self.messages.iter().map(shown).collect();
        let mut answer = self.page.answer(list, self.total);
        if call.note.window.is_some() {
            let stored = self.messages.iter().map(StoredMessage::store_timestamp);
            answer[STORED] = stored.collect();
        }
        answer
    }
}

/// ListMessages.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let found = find(call).await?;
    let mut answer = found.answer(call, |message| {
        message::shown(call, instance.id().as_str(), message)
    });
    answer["scrollId"] = json!(found.scroll_id);
    Ok(answer)
}

/// The message in the path.
pub(super) async fn in_path(call: &Call) -> Result<StoredMessage, Refusal> {
    let topic = call.topic()?;
    let id = call.required("messageId")?;
    // The id may name a message of another topic, whose rights are its own.
    let found = call.shard()?.find(topic.name(), id).await?;
    if found.topic() == topic.name().as_str() {
        return Ok(found);
    }
    let text = format!("message `{id}` is not in topic `{}`", topic.name());
    Err(Refusal::new(Code::MessageNotFound, text))
}

/// GetMessageDetail.
pub(super) async fn detail(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let found = in_path(call).await?;
    Ok(message::detailed(call, instance.id().as_str(), &found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scroll_id_says_which_times_were_asked_for() {
        let span = Span::scrolled("18BCFE56800-18BCFE6F6A0").unwrap();
        assert_eq!(
            (span.from, span.end),
            (1_700_000_000_000, 1_700_000_102_048)
        );
        for wrong in ["", "1", "1-", "-1-2", "+1-2", "x-y", "1-2-3"] {
            assert!(Span::scrolled(wrong).is_none(), "{wrong}");
        }
    }
}
