//! Administration of instances, with codes of this server's own.

use wire::remoting::{
    Command, RequestCode,
    body::{Body, InstanceInfo, InstanceList, PlanInfo, UsageInfo, UsageList},
    header::{InstanceRequest, UsageRequest},
};

use super::RemotingClient;
use crate::ClientError;

impl RemotingClient {
    /// Creates an instance (31011), and returns what is known of it.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn create_instance(&self, spec: &InstanceInfo) -> Result<InstanceInfo, ClientError> {
        let command = Command::request(RequestCode::CreateInstance, &());
        self.body(command.with_body(spec.encode())).await
    }

    /// Changes what is given of an instance (31012).
    ///
    /// # Errors
    /// When there is none of that id, the server refuses or does not answer.
    pub async fn update_instance(
        &self,
        instance_id: &str,
        change: &InstanceInfo,
    ) -> Result<InstanceInfo, ClientError> {
        let header = InstanceRequest { instance_id };
        let command = Command::request(RequestCode::UpdateInstance, &header);
        self.body(command.with_body(change.encode())).await
    }

    /// Deletes an instance that has no topics and groups (31013).
    ///
    /// # Errors
    /// When there is none of that id, the server refuses or does not answer.
    pub async fn delete_instance(&self, instance_id: &str) -> Result<(), ClientError> {
        let header = InstanceRequest { instance_id };
        self.call(Command::request(RequestCode::DeleteInstance, &header))
            .await?;
        Ok(())
    }

    /// Prolongs the subscription of an instance by a period (31016).
    ///
    /// # Errors
    /// When there is none of that id, the server refuses or does not answer.
    pub async fn renew_instance(
        &self,
        instance_id: &str,
        period: &PlanInfo,
    ) -> Result<InstanceInfo, ClientError> {
        let header = InstanceRequest { instance_id };
        let command = Command::request(RequestCode::RenewInstance, &header);
        self.body(command.with_body(period.encode())).await
    }

    /// Ends the subscription of an instance (31017).
    ///
    /// # Errors
    /// When there is none of that id, the server refuses or does not answer.
    pub async fn unsubscribe_instance(
        &self,
        instance_id: &str,
    ) -> Result<InstanceInfo, ClientError> {
        let header = InstanceRequest { instance_id };
        self.body(Command::request(RequestCode::UnsubscribeInstance, &header))
            .await
    }

    /// Deletes an instance that nobody is subscribed to any more (31018).
    ///
    /// # Errors
    /// When there is none of that id, the server refuses or does not answer.
    pub async fn release_instance(&self, instance_id: &str) -> Result<(), ClientError> {
        let header = InstanceRequest { instance_id };
        self.call(Command::request(RequestCode::ReleaseInstance, &header))
            .await?;
        Ok(())
    }

    /// What instances used, by instance and hour (31019).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn usage(&self, which: &UsageRequest<'_>) -> Result<Vec<UsageInfo>, ClientError> {
        let list: UsageList = self
            .body(Command::request(RequestCode::ListUsage, which))
            .await?;
        Ok(list.0)
    }

    /// What is known of an instance (31014).
    ///
    /// # Errors
    /// When there is none of that id, the server refuses or does not answer.
    pub async fn instance(&self, instance_id: &str) -> Result<InstanceInfo, ClientError> {
        let header = InstanceRequest { instance_id };
        self.body(Command::request(RequestCode::GetInstance, &header))
            .await
    }

    /// All instances (31015), by id.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn instances(&self) -> Result<Vec<InstanceInfo>, ClientError> {
        let command = Command::request(RequestCode::ListInstances, &());
        let list: InstanceList = self.body(command).await?;
        Ok(list.0)
    }
}
