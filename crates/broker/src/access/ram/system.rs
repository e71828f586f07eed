//! The policies that every instance has. Names are those of the service, and so is what they let
//! users do; `mq:OnsInstanceBaseInfo` is an old name of `mq:QueryInstanceBaseInfo`.

/// Their names.
pub(super) const NAMES: [&str; 6] = [
    "AliyunMQFullAccess",
    "AliyunMQPubOnlyAccess",
    "AliyunMQSubOnlyAccess",
    "AliyunMQReadOnlyAccess",
    "AliyunRocketMQFullAccess",
    "AliyunRocketMQReadOnlyAccess",
];

/// The document of one of them.
pub(super) fn document(name: &str) -> Option<&'static str> {
    match name {
        "AliyunMQFullAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"mq:*","Resource":"*"}]}"#,
        ),
        "AliyunMQPubOnlyAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["mq:PUB","mq:QueryInstanceBaseInfo","mq:OnsInstanceBaseInfo"],"Resource":"*"}]}"#,
        ),
        "AliyunMQSubOnlyAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["mq:SUB","mq:QueryInstanceBaseInfo","mq:OnsInstanceBaseInfo"],"Resource":"*"}]}"#,
        ),
        "AliyunMQReadOnlyAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["mq:Query*","mq:List*","mq:Get*","mq:OnsInstanceBaseInfo"],"Resource":"*"}]}"#,
        ),
        "AliyunRocketMQFullAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"rocketmq:*","Resource":"*"}]}"#,
        ),
        "AliyunRocketMQReadOnlyAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["rocketmq:Get*","rocketmq:List*"],"Resource":"*"}]}"#,
        ),
        _ => None,
    }
}
