//! Administration of groups.

use std::collections::BTreeMap;

use wire::remoting::{
    Command, RequestCode,
    body::{
        Body, ConsumeStats, ConsumerConnections, GroupConfig, GroupConfigTable, ResetOffsetBody,
    },
    header::{
        ConsumerGroupRequest, DeleteGroupRequest, GetAllGroupConfigRequest, GetConsumeStatsRequest,
        GroupRequest, ResetOffsetRequest,
    },
};

use super::RemotingClient;
use crate::ClientError;

/// Groups in one page of a list.
const PAGE_GROUPS: i32 = 2_000;

impl RemotingClient {
    /// Creates a group, or changes one to be so (200).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn create_group(&self, group: &GroupConfig) -> Result<(), ClientError> {
        let command = Command::request(RequestCode::UpdateAndCreateGroup, &());
        self.call(command.with_body(group.encode())).await?;
        Ok(())
    }

    /// Deletes a group and its offsets (207).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let header = DeleteGroupRequest {
            group,
            clean_offset: true,
        };
        self.call(Command::request(RequestCode::DeleteGroup, &header))
            .await?;
        Ok(())
    }

    /// Settings of a group (352).
    ///
    /// # Errors
    /// When there is no such group, or the server does not answer.
    pub async fn group_config(&self, group: &str) -> Result<GroupConfig, ClientError> {
        let header = GroupRequest { group };
        self.body(Command::request(RequestCode::GetGroupConfig, &header))
            .await
    }

    /// Settings of all groups, by name (201, in pages where the server has them).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn groups(&self) -> Result<Vec<GroupConfig>, ClientError> {
        let mut groups: BTreeMap<String, GroupConfig> = BTreeMap::new();
        let mut version: Option<String> = None;
        loop {
            let known = groups.len();
            let header = GetAllGroupConfigRequest {
                first_group: Some(i32::try_from(known).unwrap_or(i32::MAX)),
                data_version: version.as_deref(),
                max_group_count: Some(PAGE_GROUPS),
            };
            let command = Command::request(RequestCode::GetAllGroupConfig, &header);
            let page: GroupConfigTable = self.body(self.in_instance(command)).await?;
            let is_short = page.groups.len() < PAGE_GROUPS as usize;
            version = serde_json::to_string(&page.data_version).ok();
            groups.extend(page.groups);
            // A server that knows no pages answers with all groups each time.
            if is_short || groups.len() == known {
                return Ok(groups.into_values().collect());
            }
        }
    }

    /// How far a group has come, by queue (208).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn consume_stats(&self, group: &str) -> Result<ConsumeStats, ClientError> {
        let header = GetConsumeStatsRequest {
            consumer_group: group,
            topic: None,
            topic_list: None,
        };
        self.body(Command::request(RequestCode::GetConsumeStats, &header))
            .await
    }

    /// The clients that consume in a group now (203). Refused where there is none.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn consumer_connections(
        &self,
        group: &str,
    ) -> Result<ConsumerConnections, ClientError> {
        let header = ConsumerGroupRequest {
            consumer_group: group,
        };
        self.body(Command::request(
            RequestCode::GetConsumerConnectionList,
            &header,
        ))
        .await
    }

    /// Sets how far a group has come in a topic, to the first message stored at or after a time, ms
    /// since 1970, or to the end with -1; its consumers are told (222). Returns the new offsets.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn reset_offset(
        &self,
        group: &str,
        topic: &str,
        timestamp: i64,
    ) -> Result<ResetOffsetBody, ClientError> {
        let header = ResetOffsetRequest {
            group,
            topic,
            queue_id: None,
            offset: None,
            timestamp,
            is_force: true,
        };
        self.body(Command::request(
            RequestCode::InvokeBrokerToResetOffset,
            &header,
        ))
        .await
    }
}
