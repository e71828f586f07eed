//! Users and policies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{bodies, value};

/// A user: body of `AuthCreateUser` (3001) and `AuthUpdateUser` (3002), answer to `AuthGetUser`
/// (3004). Of a change, what is not there stays as it is.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserInfo {
    /// The secret, in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// `enable` or `disable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_status: Option<String>,
    /// `Super` or `Normal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    /// The name, which is the access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfo")
            .field("username", &self.username)
            .field("user_type", &self.user_type)
            .field("user_status", &self.user_status)
            .finish_non_exhaustive()
    }
}

/// Answer to `AuthListUser` (3005).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserList(pub Vec<UserInfo>);

/// The policies of one subject: body of `AuthCreateAcl` (3006) and `AuthUpdateAcl` (3007), answer
/// to `AuthGetAcl` (3009).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AclInfo {
    /// Its policies; `None` where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<PolicyInfo>>,
    /// Who they are for, as `User:name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// One policy of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyInfo {
    /// Its entries.
    #[serde(deserialize_with = "value::or_default")]
    pub entries: Vec<PolicyEntryInfo>,
    /// `Custom` or `Default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_type: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyEntryInfo {
    /// What may be done, or not.
    #[serde(deserialize_with = "value::or_default")]
    pub actions: Vec<String>,
    /// `Allow` or `Deny`.
    #[serde(deserialize_with = "value::or_default")]
    pub decision: String,
    /// To what.
    #[serde(deserialize_with = "value::or_default")]
    pub resource: String,
    /// From where; `None` is everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ips: Option<Vec<String>>,
}

/// Answer to `AuthListAcl` (3010).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AclList(pub Vec<AclInfo>);

/// A RAM-style policy: answer to `GetRamPolicy` (31004).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RamPolicyInfo {
    /// Its name.
    pub policy_name: String,
    /// Whether nobody can change it.
    pub is_system: bool,
    /// Its document, as it was written; `None` in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Who has it.
    pub users: Vec<String>,
}

/// Answer to `ListRamPolicies` (31005).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RamPolicyList(pub Vec<RamPolicyInfo>);

bodies!(
    UserInfo,
    UserList,
    AclInfo,
    AclList,
    RamPolicyInfo,
    RamPolicyList
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::body::Body;

    #[test]
    fn bodies_are_those_of_apache_and_show_no_secret() {
        // As the administration client of 5.5.0 sends it.
        let body = br#"{"password":"hidden","userType":"Super","username":"alice"}"#;
        let user = UserInfo::decode(body).unwrap();
        assert_eq!(user.password.as_deref(), Some("hidden"));
        assert_eq!(user.user_status, None);
        assert_eq!(&user.encode()[..], body);
        assert!(!format!("{user:?}").contains("hidden"));

        let body = br#"{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow",
            "resource":"Topic:a","sourceIps":null}]}],"subject":"User:alice"}"#;
        let acl = AclInfo::decode(body).unwrap();
        let policies = acl.policies.clone().unwrap();
        assert_eq!(policies[0].policy_type, None);
        assert_eq!(policies[0].entries[0].actions, ["Pub", "Sub"]);
        assert_eq!(AclInfo::decode(&acl.encode()), Ok(acl));
    }
}
