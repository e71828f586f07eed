//! Administration of RAM-style policies: requests that only our servers know.

use wire::remoting::{
    Command, RequestCode,
    body::{Body, RamPolicyInfo, RamPolicyList},
    header::RamPolicyRequest,
};

use super::{RemotingClient, connection::request_name};
use crate::ClientError;

impl RemotingClient {
    /// Creates a policy (31001).
    ///
    /// # Errors
    /// When there is one of that name, the server refuses or does not answer.
    pub async fn create_ram_policy(&self, policy: &str, document: &str) -> Result<(), ClientError> {
        let command = about(RequestCode::CreateRamPolicy, policy, None);
        self.call(command.with_body(document.to_owned())).await?;
        Ok(())
    }

    /// Changes what a policy says (31002).
    ///
    /// # Errors
    /// When there is none of that name, the server refuses or does not answer.
    pub async fn update_ram_policy(&self, policy: &str, document: &str) -> Result<(), ClientError> {
        let command = about(RequestCode::UpdateRamPolicy, policy, None);
        self.call(command.with_body(document.to_owned())).await?;
        Ok(())
    }

    /// Deletes a policy that nobody has (31003).
    ///
    /// # Errors
    /// When somebody has it, the server refuses or does not answer.
    pub async fn delete_ram_policy(&self, policy: &str) -> Result<(), ClientError> {
        self.call(about(RequestCode::DeleteRamPolicy, policy, None))
            .await?;
        Ok(())
    }

    /// A policy with its document and its users (31004).
    ///
    /// # Errors
    /// When there is none of that name, the server refuses or does not answer.
    pub async fn ram_policy(&self, policy: &str) -> Result<RamPolicyInfo, ClientError> {
        let command = about(RequestCode::GetRamPolicy, policy, None);
        let request = request_name(&command);
        let answer = self.call(command).await?;
        RamPolicyInfo::decode(&answer.body).map_err(|error| self.unexpected(request, error))
    }

    /// All policies with their users, without their documents (31005).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn ram_policies(&self) -> Result<Vec<RamPolicyInfo>, ClientError> {
        let command = about(RequestCode::ListRamPolicies, "", None);
        let request = request_name(&command);
        let answer = self.call(command).await?;
        let list = RamPolicyList::decode(&answer.body);
        Ok(list.map_err(|error| self.unexpected(request, error))?.0)
    }

    /// Gives a policy to a user (31006).
    ///
    /// # Errors
    /// When one of the two is not there, the server refuses or does not answer.
    pub async fn attach_ram_policy(&self, policy: &str, user: &str) -> Result<(), ClientError> {
        self.call(about(RequestCode::AttachRamPolicy, policy, Some(user)))
            .await?;
        Ok(())
    }

    /// Takes a policy from a user (31007).
    ///
    /// # Errors
    /// When the user does not have it, the server refuses or does not answer.
    pub async fn detach_ram_policy(&self, policy: &str, user: &str) -> Result<(), ClientError> {
        self.call(about(RequestCode::DetachRamPolicy, policy, Some(user)))
            .await?;
        Ok(())
    }
}

fn about(code: RequestCode, policy: &str, user: Option<&str>) -> Command {
    Command::request(code, &RamPolicyRequest { policy, user })
}
