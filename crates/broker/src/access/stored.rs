//! A user as the metadata store keeps it. Fields are only ever added, with a default.

use serde::{Deserialize, Serialize};

use super::{
    Action, Policy, PolicyEntry, PolicyKind, Secret, SourceRange, User, attach::RamPolicies,
};

#[derive(Serialize, Deserialize)]
struct StoredUser {
    secret: String,
    #[serde(rename = "type")]
    user_type: String,
    status: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    remark: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    policies: Vec<StoredPolicy>,
    /// Names of RAM-style policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ram: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredPolicy {
    kind: String,
    entries: Vec<StoredEntry>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    resource: String,
    actions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
    decision: String,
}

/// The value of a user's key.
pub(super) fn write(user: &User) -> Vec<u8> {
    let entry = |entry: &PolicyEntry| StoredEntry {
        resource: entry.resource().to_string(),
        actions: entry
            .actions()
            .iter()
            .map(|action| Action::name(*action).to_owned())
            .collect(),
        sources: entry.sources().iter().map(SourceRange::to_string).collect(),
        decision: entry.decision().name().to_owned(),
    };
    let policies = user.policies.iter().map(|policy| StoredPolicy {
        kind: policy.kind.name().to_owned(),
        entries: policy.entries.iter().map(entry).collect(),
    });
    let stored = StoredUser {
        secret: user.secret.text().to_owned(),
        user_type: user.user_type.name().to_owned(),
        status: user.status.name().to_owned(),
        remark: user.remark.clone(),
        policies: policies.collect(),
        ram: user.ram.iter().map(|it| it.name().to_owned()).collect(),
    };
    serde_json::to_vec(&stored).expect("plain data becomes JSON")
}

/// The user of a value, with its policies of `ram`. Errors say nothing of what the value holds: it
/// has a secret in it.
pub(super) fn read(name: &str, value: &[u8], ram: &RamPolicies) -> Result<User, String> {
    let malformed = |part: &str| format!("{part} of a user is malformed");
    let stored: StoredUser = serde_json::from_slice(value).map_err(|_| malformed("JSON"))?;
    let mut policies = Vec::with_capacity(stored.policies.len());
    for policy in stored.policies {
        let mut entries = Vec::with_capacity(policy.entries.len());
        for entry in policy.entries {
            let read = PolicyEntry::read(
                &entry.resource,
                entry.actions.iter().map(String::as_str),
                entry.sources.iter().map(String::as_str),
                &entry.decision,
            );
            entries.push(read.map_err(|error| error.to_string())?);
        }
        policies.push(Policy {
            kind: PolicyKind::of(&policy.kind),
            entries,
        });
    }
    let attached = stored.ram.iter().map(|policy| {
        let known = ram.get(policy).cloned();
        known.ok_or_else(|| format!("policy `{policy}` of a user does not exist"))
    });
    Ok(User {
        name: name.to_owned(),
        secret: Secret::new(&stored.secret),
        user_type: stored.user_type.parse().map_err(|_| malformed("type"))?,
        status: stored.status.parse().map_err(|_| malformed("status"))?,
        remark: stored.remark,
        policies,
        ram: attached.collect::<Result<_, _>>()?,
    })
}
