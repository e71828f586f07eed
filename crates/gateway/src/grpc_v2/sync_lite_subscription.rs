//! SyncLiteSubscription: which LiteTopics a client wants.

use base::{LiteTopicName, QueueOffset, Timestamp, limits};
use broker::{LiteStart, LiteSubscriptionChange, SyncLiteSubscriptionRequest};
use wire::grpc_v2::{
    self as v2, Code, LiteSubscriptionAction,
    offset_option::{OffsetType, Policy},
};

use super::{
    call::Call,
    names, shards,
    status::{self, Refusal},
};

pub(super) async fn sync_lite_subscription(
    call: &Call,
    mut request: v2::SyncLiteSubscriptionRequest,
) -> Result<v2::SyncLiteSubscriptionResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let count = request.lite_topic_set.len();
    if count > limits::LITE_TOPICS_PER_REQUEST_MAX {
        let max = limits::LITE_TOPICS_PER_REQUEST_MAX;
        let text = format!("request names {count} LiteTopics, expected at most {max}");
        return Err(Refusal::new(Code::LiteSubscriptionQuotaExceeded, text));
    }
    // Only the names are kept: ten thousand clients that come back at once wait for their turn
    // with all of theirs.
    let texts = std::mem::take(&mut request.lite_topic_set);
    let names = texts.iter().map(|name| {
        LiteTopicName::new(name).map_err(|error| status::bad_name(Code::IllegalLiteTopic, &error))
    });
    let names: Vec<LiteTopicName> = names.collect::<Result<_, _>>()?;
    drop(texts);
    let change = match request.action() {
        LiteSubscriptionAction::PartialAdd => LiteSubscriptionChange::Add {
            names,
            from: start(request.offset_option.as_ref())?,
        },
        LiteSubscriptionAction::PartialRemove => LiteSubscriptionChange::Remove(names),
        LiteSubscriptionAction::CompleteAdd => LiteSubscriptionChange::Replace(names),
        LiteSubscriptionAction::CompleteRemove => LiteSubscriptionChange::RemoveAll,
    };
    let shard = shards::any_shard(call, &instance)?;
    let request = SyncLiteSubscriptionRequest {
        group,
        topic,
        client: call.client_id()?.to_owned(),
        change,
    };
    shard.sync_lite_subscription(request).await?;
    Ok(v2::SyncLiteSubscriptionResponse {
        status: Some(status::ok()),
    })
}

/// Where the group is to go on. The policy LAST is where it has come to.
fn start(option: Option<&v2::OffsetOption>) -> Result<Option<LiteStart>, Refusal> {
    let number = |what: &str, value: i64| {
        u64::try_from(value).map_err(|_| {
            let text = format!("{what} of the offset option is {value}, expected 0 or more");
            Refusal::new(Code::IllegalOffset, text)
        })
    };
    let Some(kind) = option.and_then(|option| option.offset_type.as_ref()) else {
        return Ok(None);
    };
    Ok(match kind {
        OffsetType::Policy(policy) => match Policy::try_from(*policy) {
            Ok(Policy::Last) => None,
            Ok(Policy::Min) => Some(LiteStart::Min),
            Ok(Policy::Max) => Some(LiteStart::Max),
            Err(_) => {
                let text = format!("policy {policy} of the offset option is unknown");
                return Err(Refusal::new(Code::IllegalOffset, text));
            }
        },
        OffsetType::Offset(offset) => {
            let offset = QueueOffset::new(number("offset", *offset)?);
            Some(LiteStart::Offset(offset))
        }
        OffsetType::TailN(count) => Some(LiteStart::Tail(number("tail", *count)?)),
        OffsetType::Timestamp(ms) => Some(LiteStart::Time(Timestamp::from_ms(*ms))),
    })
}
