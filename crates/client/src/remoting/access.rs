//! Administration of users and policies.

use wire::remoting::{
    Command, RequestCode,
    body::{AclInfo, AclList, Body, UserInfo, UserList},
    header::{AclRequest, DeleteAclRequest, ListAclsRequest, ListUsersRequest, UserRequest},
};

use super::{RemotingClient, connection::request_name};
use crate::ClientError;

impl RemotingClient {
    /// Creates a user (3001).
    ///
    /// # Errors
    /// When there is one of that name, the server refuses or does not answer.
    pub async fn create_user(&self, name: &str, user: &UserInfo) -> Result<(), ClientError> {
        let username = Some(name);
        let command = Command::request(RequestCode::AuthCreateUser, &UserRequest { username });
        self.call(command.with_body(user.encode())).await?;
        Ok(())
    }

    /// Changes what is given of a user (3002).
    ///
    /// # Errors
    /// When there is no such user, the server refuses or does not answer.
    pub async fn update_user(&self, name: &str, user: &UserInfo) -> Result<(), ClientError> {
        let username = Some(name);
        let command = Command::request(RequestCode::AuthUpdateUser, &UserRequest { username });
        self.call(command.with_body(user.encode())).await?;
        Ok(())
    }

    /// Deletes a user and its policies (3003). One who is not there is deleted already.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn delete_user(&self, name: &str) -> Result<(), ClientError> {
        let username = Some(name);
        let command = Command::request(RequestCode::AuthDeleteUser, &UserRequest { username });
        self.call(command).await?;
        Ok(())
    }

    /// All users (3005), with their secrets.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn users(&self) -> Result<Vec<UserInfo>, ClientError> {
        let header = ListUsersRequest { filter: None };
        let command = Command::request(RequestCode::AuthListUser, &header);
        let list: Option<UserList> = self.listed(command).await?;
        Ok(list.unwrap_or_default().0)
    }

    /// Adds to the policies of `acl.subject`; what is said of a resource replaces what was said of
    /// it (3007).
    ///
    /// # Errors
    /// When there is no such user, the server refuses or does not answer.
    pub async fn put_acl(&self, acl: &AclInfo) -> Result<(), ClientError> {
        let subject = acl.subject.as_deref();
        let command = Command::request(RequestCode::AuthUpdateAcl, &AclRequest { subject });
        self.call(command.with_body(acl.encode())).await?;
        Ok(())
    }

    /// Deletes what a policy says of a resource, or all policies of the subject (3008).
    ///
    /// # Errors
    /// When there are none, the server refuses or does not answer.
    pub async fn delete_acl(
        &self,
        subject: &str,
        policy_type: Option<&str>,
        resource: Option<&str>,
    ) -> Result<(), ClientError> {
        let header = DeleteAclRequest {
            subject: Some(subject),
            policy_type,
            resource,
        };
        self.call(Command::request(RequestCode::AuthDeleteAcl, &header))
            .await?;
        Ok(())
    }

    /// The policies of all subjects whose name has `subject` in it (3010).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn acls(&self, subject: Option<&str>) -> Result<Vec<AclInfo>, ClientError> {
        let header = ListAclsRequest {
            subject_filter: subject,
            resource_filter: None,
        };
        let command = Command::request(RequestCode::AuthListAcl, &header);
        let list: Option<AclList> = self.listed(command).await?;
        Ok(list.unwrap_or_default().0)
    }

    /// The body of an answer, `None` where it has none: so a server says that there is nothing.
    async fn listed<B: Body>(&self, command: Command) -> Result<Option<B>, ClientError> {
        let request = request_name(&command);
        let answer = self.call(command).await?;
        if answer.body.is_empty() {
            return Ok(None);
        }
        let body = B::decode(&answer.body);
        body.map(Some)
            .map_err(|error| self.unexpected(request, error))
    }
}
