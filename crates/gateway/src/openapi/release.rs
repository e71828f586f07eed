//! Operations on releases, and which one an instance runs.

use std::path::{Path, PathBuf};

use broker::Instance;
use control::{Day, NewRelease, Release, Version, Zone};
use serde_json::{Value, json};

use super::{
    call::Call,
    page::{Page, SIZE_MAX},
    status::{Code, Refusal},
    update_task,
};

fn shown(release: &Release, today: Day) -> Value {
    json!({
        "announcedTime": Zone::utc().show(release.announced_at),
        "digest": release.digest,
        "notes": release.notes,
        "releasedOn": release.released_on.to_string(),
        "size": release.size,
        "supported": release.is_supported(today),
        "supportedUntil": release.supported_until().to_string(),
        "version": release.version.to_string(),
    })
}

fn today(call: &Call) -> Day {
    Day::at(&Zone::utc(), call.now())
}

/// PublishRelease.
pub(super) async fn publish(call: &Call) -> Result<Value, Refusal> {
    let control = call.control()?;
    let binary = call.required("binary")?;
    if !Path::new(binary).is_absolute() {
        let expected = "an absolute path on the machine of the fleet";
        return Err(Refusal::invalid("binary", binary, expected));
    }
    let released_on = match call.text("releasedOn") {
        None => today(call),
        Some(_) => call.name("releasedOn", str::parse)?,
    };
    let key = call.text("key").map(str::to_owned);
    // Whoever names the first key decides what runs here.
    if key.is_some() && call.user.is_none() {
        let text = "parameter `key` is taken only from an administrator who signs the request";
        return Err(Refusal::new(Code::NoPermission, text));
    }
    let new = NewRelease {
        version: call.name("version", str::parse::<Version>)?,
        released_on,
        notes: call.text("notes").unwrap_or_default().to_owned(),
        binary: PathBuf::from(binary),
        signature: call.required("signature")?.to_owned(),
        key,
    };
    let announced = control.publish(new).await?;
    let instances = announced.instances.iter().map(|it| it.as_str());
    let mut answer = shown(&announced.release, today(call));
    answer["updatedInstanceIds"] = instances.collect();
    Ok(answer)
}

/// ListReleases: the newest first.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let releases = call.control()?.catalogue.list();
    let (page, today) = (Page::of(call, 1, SIZE_MAX), today(call));
    Ok(page.of_all(&releases, |release| shown(release, today)))
}

/// What an instance runs, for answers about it.
pub(super) fn software(call: &Call, instance: &Instance) -> Value {
    let Some(control) = &call.front.control else {
        return json!({ "softwareVersion": call.front.version });
    };
    let version = control.version_of(instance.id()).to_string();
    let mut software = json!({ "softwareVersion": version });
    if let Ok(record) = control.updates().describe(instance.id())
        && record.managed
    {
        software["maintainTime"] = record.window.to_string().into();
        software["upgradeMethod"] = "auto".into();
    }
    software
}

/// GetInstanceVersion.
pub(super) async fn of_instance(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let mut answer = json!({
        "instanceId": instance.id().as_str(),
        "softwareVersion": call.front.version,
        "managed": false,
    });
    let Some(control) = &call.front.control else {
        return Ok(answer);
    };
    let version = control.version_of(instance.id());
    answer["softwareVersion"] = version.to_string().into();
    let mut today = today(call);
    if let Some(newest) = control.catalogue.newest() {
        answer["newestVersion"] = newest.version.to_string().into();
    }
    if let Ok(record) = control.updates().describe(instance.id())
        && record.managed
    {
        let now = call.now();
        today = Day::at(&record.zone, now);
        answer["managed"] = true.into();
        answer["maintainTime"] = record.window.to_string().into();
        answer["timeZone"] = record.zone.name().into();
        if let Some(task) = &record.open {
            answer["openTask"] = update_task::shown(instance.id(), task, now);
        }
    }
    // Nothing is known of the support of a version that nobody published.
    if let Some(release) = control.catalogue.get(version) {
        answer["releasedOn"] = release.released_on.to_string().into();
        answer["supportedUntil"] = release.supported_until().to_string().into();
        answer["supported"] = release.is_supported(today).into();
    }
    Ok(answer)
}
