//! DescribeTopicStatus and GetTopicRoute.

use broker::TopicType;
use wire::{
    grpc_v2::{self as v2, MessageType},
    remoting::body::Body,
};

use super::{super::names, Call, Refusal};
use crate::topic_route::topic_route;

/// The attribute that tools keep words on a topic in.
const DESCRIPTION: &str = "description";

pub(super) async fn describe_topic_status(
    call: Call,
    request: v2::DescribeTopicStatusRequest,
) -> Result<v2::DescribeTopicStatusResponse, Refusal> {
    let (instance, name) = names::topic(&call, request.topic.as_ref())?;
    let topic = names::existing_topic(&instance, &name)?;
    let mut tags = topic.spec.attributes.clone();
    Ok(v2::DescribeTopicStatusResponse {
        status: None,
        topic_message_type: message_type(topic.spec.topic_type).into(),
        description: tags.remove(DESCRIPTION),
        // Not kept.
        create_timestamp: None,
        tags: tags.into_iter().collect(),
    })
}

fn message_type(declared: Option<TopicType>) -> MessageType {
    match declared {
        None | Some(TopicType::Mixed) => MessageType::Unspecified,
        Some(TopicType::Normal) => MessageType::Normal,
        Some(TopicType::Fifo) => MessageType::Fifo,
        Some(TopicType::Delay) => MessageType::Delay,
        Some(TopicType::Transaction) => MessageType::Transaction,
        Some(TopicType::Lite) => MessageType::Lite,
        Some(TopicType::Priority) => MessageType::Priority,
    }
}

pub(super) async fn get_topic_route(
    call: Call,
    request: v2::GetTopicRouteRequest,
) -> Result<v2::GetTopicRouteResponse, Refusal> {
    let (instance, name) = names::topic(&call, request.topic.as_ref())?;
    let topic = names::existing_topic(&instance, &name)?;
    let queues = (topic.spec.queues, i32::from(topic.spec.permission.bits()));
    let of = (&*instance, Some(&*topic));
    let route = topic_route(&call.front, &call.connection, of, queues, None).encode();
    Ok(v2::GetTopicRouteResponse {
        status: None,
        topic_route_data: String::from_utf8_lossy(&route).into_owned(),
    })
}
