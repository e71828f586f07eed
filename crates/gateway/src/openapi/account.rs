//! Operations on accounts: the users of an instance, over its data protocols.

use std::sync::Arc;

use broker::{
    Instance,
    access::{Secret, User, UserChange, UserStatus, UserType},
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use super::{
    call::Call,
    page::{Page, SIZE_MAX},
    status::{Code, Refusal},
    text::remark,
};

const STATUSES: [(&str, UserStatus); 2] = [
    ("ENABLE", UserStatus::Enabled),
    ("DISABLE", UserStatus::Disabled),
];

/// A default account may do everything in its instance, the others what they are granted.
const TYPES: [(&str, UserType); 2] = [("DEFAULT", UserType::Super), ("APACHE", UserType::Normal)];

/// The word for a meaning.
fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == meaning);
    found.map_or("", |(word, _)| *word)
}

/// The user of parameter `username`, who must exist.
pub(super) fn user(call: &Call) -> Result<Arc<User>, Refusal> {
    let (name, instance) = (call.required("username")?, call.instance()?);
    instance.access().user(name).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        let text = format!("account `{name}` not found in instance `{}`", instance.id());
        Refusal::new(Code::AccountNotFound, text)
    })
}

/// What names and passwords that are made here are of: one in 32 for each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

fn made(length: usize) -> Result<String, Refusal> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        let text = "this machine gives no random numbers for a password";
        Refusal::new(Code::InternalError, text)
    })?;
    let letters = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(letters.collect())
}

/// Makes the default account of a new instance, with a name and a password that nobody guesses.
/// One that has accounts keeps them.
pub(super) async fn make_default(instance: &Instance) -> Result<(), Refusal> {
    if !instance.access().users().is_empty() {
        return Ok(());
    }
    let user = UserChange {
        secret: Some(Secret::new(&made(26)?)),
        user_type: Some(UserType::Super),
        ..UserChange::default()
    };
    instance.access().create_user(&made(16)?, user).await?;
    Ok(())
}

/// CreateInstanceAccount.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    let name = call.required("username")?;
    let user = UserChange {
        secret: Some(Secret::new(call.required("password")?)),
        remark: remark(call)?,
        ..UserChange::default()
    };
    call.instance()?.access().create_user(name, user).await?;
    Ok(json!(true))
}

/// GetInstanceAccount: of the first default account where none is named.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let user = match call.text("username") {
        Some(_) => user(call)?,
        None => {
            let users = call.instance()?.access().users();
            let default = users.into_iter().find(|user| user.is_super());
            default.ok_or_else(|| {
                let text = "the instance has no default account";
                Refusal::new(Code::AccountNotFound, text)
            })?
        }
    };
    Ok(json!({
        "accountStatus": word(&STATUSES, &user.status()),
        "password": user.secret().text(),
        "remark": user.remark(),
        "username": user.name(),
    }))
}

/// ListInstanceAccount.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let status = call.word("accountStatus", &STATUSES)?;
    let user_type = call.word("accountType", &TYPES)?;
    let part = call.text("username");
    let users = instance.access().users().into_iter().filter(|user| {
        status.is_none_or(|status| status == user.status())
            && user_type.is_none_or(|user_type| user_type == user.user_type())
            && part.is_none_or(|part| user.name().contains(part))
    });
    let users: Vec<Arc<User>> = users.collect();
    let page = Page::of(call, 1, SIZE_MAX);
    Ok(page.of_all(&users, |user| {
        json!({
            "accountStatus": word(&STATUSES, &user.status()),
            "accountType": word(&TYPES, &user.user_type()),
            "instanceId": instance.id().as_str(),
            "regionId": call.region(),
            "remark": user.remark(),
            "username": user.name(),
        })
    }))
}

/// UpdateInstanceAccount.
pub(super) async fn update(call: &Call) -> Result<Value, Refusal> {
    let user = user(call)?;
    let change = UserChange {
        secret: call.text("password").map(Secret::new),
        status: call.word("accountStatus", &STATUSES)?,
        remark: remark(call)?,
        user_type: None,
    };
    let instance = call.instance()?;
    instance.access().update_user(user.name(), change).await?;
    Ok(json!(true))
}

/// DeleteInstanceAccount.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let user = user(call)?;
    call.instance()?.access().delete_user(user.name()).await?;
    Ok(json!(true))
}
