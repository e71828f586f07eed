//! Administration of users and policies: codes 3001 to 3010, and 31001 to 31007 of our own.

use super::header;

header! {
    /// Requests `AuthCreateUser` (3001), `AuthUpdateUser` (3002), `AuthDeleteUser` (3003) and
    /// `AuthGetUser` (3004).
    pub struct UserRequest<'a> {
        /// The user.
        username: Option<&'a str> = "username",
    }
}

header! {
    /// Request `AuthListUser` (3005).
    pub struct ListUsersRequest<'a> {
        /// Part of the name of the users asked for.
        filter: Option<&'a str> = "filter",
    }
}

header! {
    /// Requests `AuthCreateAcl` (3006), `AuthUpdateAcl` (3007) and `AuthGetAcl` (3009).
    pub struct AclRequest<'a> {
        /// Who the policies are for, as `User:name`.
        subject: Option<&'a str> = "subject",
    }
}

header! {
    /// Request `AuthDeleteAcl` (3008).
    pub struct DeleteAclRequest<'a> {
        /// Who the policies are for, as `User:name`.
        subject: Option<&'a str> = "subject",
        /// Which policy, `Custom` where none is named.
        policy_type: Option<&'a str> = "policyType",
        /// The resource; none is all that is said of the subject.
        resource: Option<&'a str> = "resource",
    }
}

header! {
    /// Request `AuthListAcl` (3010).
    pub struct ListAclsRequest<'a> {
        /// Part of the subjects asked for.
        subject_filter: Option<&'a str> = "subjectFilter",
        /// Part of the resources asked for.
        resource_filter: Option<&'a str> = "resourceFilter",
    }
}

header! {
    /// Requests `CreateRamPolicy` (31001), `UpdateRamPolicy` (31002), whose body is the document,
    /// `DeleteRamPolicy` (31003), `GetRamPolicy` (31004), `AttachRamPolicy` (31006) and
    /// `DetachRamPolicy` (31007).
    pub struct RamPolicyRequest<'a> {
        /// The policy.
        policy: &'a str = "policyName",
        /// To or from whom it is attached or detached.
        user: Option<&'a str> = "username",
    }
}
