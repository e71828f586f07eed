//! Operations on ACL entries: what a user may do to a topic or to a group, and from where.

use std::sync::Arc;

use broker::access::{
    Action, Decision, Policy, PolicyEntry, PolicyKind, Resource, SourceRange, User,
};
use serde_json::{Value, json};

use super::{
    account::user,
    call::Call,
    page::{Page, SIZE_MAX},
    status::{Code, Refusal},
};

const ACTIONS: &str = "actions";
const DECISIONS: [(&str, Decision); 2] = [("Allow", Decision::Allow), ("Deny", Decision::Deny)];
const KINDS: [(&str, &str); 2] = [("Topic", "Topic"), ("Group", "Group")];

/// The resource that a request names.
fn resource(call: &Call) -> Result<Resource, Refusal> {
    let kind = call.word("resourceType", &KINDS)?;
    let kind = kind.ok_or_else(|| Refusal::missing("resourceType"))?;
    let name = call.required("resourceName")?;
    let resource = format!("{kind}:{name}").parse();
    resource.map_err(|error| Refusal::field("resourceName", error))
}

/// What a user's entries say of a resource. The API knows one list of entries.
fn entry<'u>(user: &'u User, resource: &Resource) -> Option<&'u PolicyEntry> {
    let custom = user
        .policies()
        .iter()
        .filter(|policy| policy.kind == PolicyKind::Custom);
    let mut entries = custom.flat_map(|policy| &policy.entries);
    entries.find(|entry| entry.resource() == resource)
}

fn not_found(user: &User, resource: &Resource) -> Refusal {
    let text = format!("account `{}` has no entry about `{resource}`", user.name());
    Refusal::new(Code::AclNotFound, text)
}

/// The actions of a request; `Pub|Sub` is both.
fn actions<'c>(call: &'c Call, resource: &Resource) -> Result<Vec<&'c str>, Refusal> {
    let texts = call.texts(ACTIONS);
    let words: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split('|'))
        .map(str::trim)
        .collect();
    let is_topic = resource.to_string().starts_with("Topic:");
    for word in &words {
        let is_known =
            word.eq_ignore_ascii_case("Sub") || is_topic && word.eq_ignore_ascii_case("Pub");
        if !is_known {
            let expected = if is_topic { "Pub or Sub" } else { "Sub" };
            return Err(Refusal::invalid(ACTIONS, word, expected));
        }
    }
    Ok(words)
}

async fn put(call: &Call, user: &User, entry: PolicyEntry) -> Result<Value, Refusal> {
    let policy = Policy {
        kind: PolicyKind::Custom,
        entries: vec![entry],
    };
    let instance = call.instance()?;
    instance
        .access()
        .put_policies(user.name(), vec![policy])
        .await?;
    Ok(json!(true))
}

/// CreateInstanceAcl.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    let (user, resource) = (user(call)?, resource(call)?);
    let actions = actions(call, &resource)?;
    let decision = call.word("decision", &DECISIONS)?;
    let decision = decision.ok_or_else(|| Refusal::missing("decision"))?.name();
    let sources = call.texts("ipWhitelists");
    let name = resource.to_string();
    let made = PolicyEntry::read(&name, actions, sources, decision)?;
    if entry(&user, &resource).is_some() {
        let text = format!("account `{}` has an entry about `{resource}`", user.name());
        return Err(Refusal::new(Code::AclExisted, text));
    }
    put(call, &user, made).await
}

/// UpdateInstanceAcl: what a request does not name stays.
pub(super) async fn update(call: &Call) -> Result<Value, Refusal> {
    let (user, resource) = (user(call)?, resource(call)?);
    let before = entry(&user, &resource).ok_or_else(|| not_found(&user, &resource))?;
    let actions = match call.has(ACTIONS) {
        true => actions(call, &resource)?,
        false => before
            .actions()
            .iter()
            .map(|action| action.name())
            .collect(),
    };
    let decision = call.word("decision", &DECISIONS)?;
    let decision = decision.unwrap_or(before.decision()).name();
    let kept: Vec<String> = before
        .sources()
        .iter()
        .map(SourceRange::to_string)
        .collect();
    let sources = match call.has("ipWhitelists") {
        true => call.texts("ipWhitelists"),
        false => kept.iter().map(String::as_str).collect(),
    };
    let name = resource.to_string();
    let made = PolicyEntry::read(&name, actions, sources, decision)?;
    put(call, &user, made).await
}

/// DeleteInstanceAcl.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let (user, resource) = (user(call)?, resource(call)?);
    entry(&user, &resource).ok_or_else(|| not_found(&user, &resource))?;
    let instance = call.instance()?;
    let what = Some((PolicyKind::Custom, resource));
    instance.access().delete_policies(user.name(), what).await?;
    Ok(json!(true))
}

fn shown(call: &Call, user: &User, entry: &PolicyEntry) -> Value {
    let resource = entry.resource().to_string();
    let (kind, name) = resource.split_once(':').unwrap_or(("Any", "*"));
    let sources: Vec<String> = entry.sources().iter().map(SourceRange::to_string).collect();
    let actions: Vec<&str> = entry.actions().iter().copied().map(Action::name).collect();
    json!({
        "aclType": "APACHE",
        "actions": actions,
        "decision": entry.decision().name(),
        "instanceId": call.text(super::call::INSTANCE),
        "ipWhitelists": sources,
        "regionId": call.region(),
        "resourceName": name,
        "resourceType": kind,
        "username": user.name(),
    })
}

/// GetInstanceAcl.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let (user, resource) = (user(call)?, resource(call)?);
    let found = entry(&user, &resource).ok_or_else(|| not_found(&user, &resource))?;
    Ok(shown(call, &user, found))
}

/// ListInstanceAcl: the entries of all accounts whose name, or that of the resource, has the part.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let users: Vec<Arc<User>> = call.instance()?.access().users();
    let mut entries: Vec<(&User, &PolicyEntry)> = Vec::new();
    for user in &users {
        for policy in user.policies() {
            let asked = policy.entries.iter().filter(|entry| {
                let resource = entry.resource().to_string();
                super::text::has_part(call, &[user.name(), &resource])
            });
            entries.extend(asked.map(|entry| (&**user, entry)));
        }
    }
    let page = Page::of(call, 1, SIZE_MAX);
    Ok(page.of_all(&entries, |(user, entry)| shown(call, user, entry)))
}
