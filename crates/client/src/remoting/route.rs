//! Route: where the queues of a topic are, and which brokers and topics there are.

use wire::remoting::{
    Command, RequestCode,
    body::{Body, ClusterInfo, TextTable, TopicList, TopicRouteData},
    header::{GetRouteRequest, RequestContext},
};

use super::RemotingClient;
use crate::ClientError;

impl RemotingClient {
    /// Where the queues of a topic are (105).
    ///
    /// # Errors
    /// When there is no such topic, or the server does not answer.
    pub async fn route(&self, topic: &str) -> Result<TopicRouteData, ClientError> {
        let header = GetRouteRequest {
            topic,
            accept_standard_json_only: Some(true),
        };
        self.body(Command::request(RequestCode::GetRouteByTopic, &header))
            .await
    }

    /// The brokers of all clusters (106).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, ClientError> {
        self.body(Command::request(RequestCode::GetBrokerClusterInfo, &()))
            .await
    }

    /// What release a broker says it is, if it says so (28).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn server_version(&self) -> Result<Option<String>, ClientError> {
        let command = Command::request(RequestCode::GetBrokerRuntimeInfo, &());
        let mut info: TextTable = self.body(command).await?;
        Ok(info.table.remove("brokerVersionDesc"))
    }

    /// The names of all topics (206).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn topic_names(&self) -> Result<Vec<String>, ClientError> {
        let command = Command::request(RequestCode::GetTopicListFromNameServer, &());
        let list: TopicList = self.body(self.in_instance(command)).await?;
        Ok(list.topics)
    }

    /// A request that names nothing, to the instance of the options.
    pub(super) fn in_instance(&self, command: Command) -> Command {
        let Some(instance) = self.namespace() else {
            return command;
        };
        command.with_header(&RequestContext {
            namespace: Some(instance),
            is_namespaced: None,
            broker_name: None,
            is_oneway: None,
            is_logical: None,
        })
    }

    /// Calls, and reads the body of the answer.
    pub(super) async fn body<B: Body>(&self, command: Command) -> Result<B, ClientError> {
        let request = super::connection::request_name(&command);
        let answer = self.call(command).await?;
        B::decode(&answer.body).map_err(|error| self.unexpected(request, error))
    }
}
