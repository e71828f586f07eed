//! The first administrator: without one, nobody could let anybody in.

use std::io;

use anyhow::Context;
use base::InstanceId;
use broker::{
    Router,
    access::{Secret, UserChange, UserType},
};

use crate::{admin, config::Settings, exit::Failure};

/// Random letters of a made-up access key, after its prefix.
const ACCESS_KEY_LETTERS: usize = 12;

/// Keys that nobody knows yet.
pub(super) struct MadeUp {
    access_key: String,
    secret_key: String,
}

impl MadeUp {
    /// The one time that they are shown.
    pub(super) fn announcement(&self) -> String {
        format!(
            "made the first administrator; these keys are shown this once:\n\
             access key  {}\n\
             secret key  {}\n",
            self.access_key, self.secret_key
        )
    }
}

/// Makes the administrator of the settings if it is not there. Where there is none and one is
/// needed, makes one up and returns its keys.
pub(super) async fn ensure(
    settings: &Settings,
    router: &Router,
    is_needed: bool,
) -> Result<Option<MadeUp>, Failure> {
    let instance = router
        .instance(&InstanceId::default_instance())
        .context("find default instance")?;
    let access = instance.access();
    let create = async |access_key: &str, secret_key: &str| {
        let change = UserChange {
            secret: Some(Secret::new(secret_key)),
            user_type: Some(UserType::Super),
            status: None,
            remark: None,
        };
        let created = access.create_user(access_key, change).await;
        created.with_context(|| format!("make administrator `{access_key}`"))
    };
    match (&settings.admin_access_key, &settings.admin_secret_key) {
        (Some(access_key), Some(secret_key)) => {
            if access.user(access_key).is_none() {
                create(access_key, secret_key.reveal()).await?;
                tracing::info!(access_key, "administrator made");
            }
        }
        (None, None) => {}
        _ => {
            let one = "settings `admin_access_key` and `admin_secret_key` go together";
            return Err(Failure::Usage(anyhow::anyhow!(one)));
        }
    }
    if !is_needed || access.has_administrator() {
        return Ok(None);
    }
    let made_up = make_up().context("read random keys")?;
    create(&made_up.access_key, &made_up.secret_key).await?;
    Ok(Some(made_up))
}

fn make_up() -> io::Result<MadeUp> {
    let letters = admin::make_up()?;
    Ok(MadeUp {
        access_key: format!("admin-{}", &letters[..ACCESS_KEY_LETTERS]),
        secret_key: admin::make_up()?,
    })
}
