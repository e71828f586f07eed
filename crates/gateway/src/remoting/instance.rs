//! Instances (codes 31011 to 31019, which are this server's own): created, changed, deleted,
//! listed and renewed by its command line.

use std::sync::Arc;

use base::{InstanceId, Timestamp};
use broker::{InstanceChange, InstanceRecord, InstanceSpec, Instances, Series};
use control::Operation;
use wire::remoting::{
    Command, ResponseCode,
    body::{Body, InstanceInfo, InstanceList, PlanInfo, UsageInfo, UsageList},
    header::{InstanceRequest, UsageRequest},
};

use super::{
    connection::Connection,
    plan,
    reply::{Answer, Refusal, Reply},
};

/// Code 31011.
pub(super) async fn create(connection: &Connection, request: &Command) -> Answer {
    let said = InstanceInfo::decode(&request.body)?;
    let name = said.series.unwrap_or_default();
    let series = Series::named(&name).ok_or_else(|| {
        let start: String = name.chars().take(32).collect();
        let text = format!("series `{start}` is not known, expected 4.x or 5.x");
        Refusal::new(ResponseCode::InvalidParameter, text)
    })?;
    let created = instances(connection)?.create(InstanceSpec {
        series,
        display_name: said.display_name.unwrap_or_default(),
        remark: said.remark.unwrap_or_default(),
        tags: said.tags.unwrap_or_default(),
        plan: said.plan.as_ref().map(plan::ordered).transpose()?,
        nodes: said.plan.and_then(|plan| plan.node_count),
        ..InstanceSpec::default()
    });
    let record = created.await?;
    Ok(Reply::body(request, &info(connection, &record)))
}

/// Code 31012.
pub(super) async fn update(connection: &Connection, request: &Command) -> Answer {
    let (front, id) = (&connection.front, id(request)?);
    let said = InstanceInfo::decode(&request.body)?;
    let change = InstanceChange {
        display_name: said.display_name,
        remark: said.remark,
        tags: said.tags,
        plan: said.plan.as_ref().map(plan::change).transpose()?,
        nodes: said.plan.and_then(|plan| plan.node_count),
        ..InstanceChange::default()
    };
    let _permit = match change.plan {
        Some(_) => front.permit(&id, Operation::ChangeSpecification).await?,
        None => None,
    };
    let record = instances(connection)?.update(&id, change).await?;
    Ok(Reply::body(request, &info(connection, &record)))
}

/// Code 31013.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let (front, id) = (&connection.front, id(request)?);
    let _permit = front.permit(&id, Operation::DeleteInstance).await?;
    instances(connection)?.delete(&id).await?;
    Ok(Reply::success(request))
}

/// Code 31016.
pub(super) async fn renew(connection: &Connection, request: &Command) -> Answer {
    let period = plan::period(&PlanInfo::decode(&request.body)?)?;
    let renewed = instances(connection)?.renew(&id(request)?, period).await?;
    Ok(Reply::body(request, &info(connection, &renewed)))
}

/// Code 31017.
pub(super) async fn unsubscribe(connection: &Connection, request: &Command) -> Answer {
    let (front, id) = (&connection.front, id(request)?);
    let _permit = front.permit(&id, Operation::Unsubscribe).await?;
    let ended = instances(connection)?.unsubscribe(&id).await?;
    Ok(Reply::body(request, &info(connection, &ended)))
}

/// Code 31018.
pub(super) async fn release(connection: &Connection, request: &Command) -> Answer {
    let (front, id) = (&connection.front, id(request)?);
    let _permit = front.permit(&id, Operation::ReleaseInstance).await?;
    instances(connection)?.release(&id).await?;
    Ok(Reply::success(request))
}

/// Code 31014.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let found = instances(connection)?.get(&id(request)?);
    let record = found.map_err(|error| Refusal::of(ResponseCode::QueryNotFound, &error))?;
    Ok(Reply::body(request, &info(connection, &record)))
}

/// Code 31015.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let records = instances(connection)?.list();
    let list = records.iter().map(|record| info(connection, record));
    Ok(Reply::body(request, &InstanceList(list.collect())))
}

/// Code 31019.
pub(super) async fn usage(connection: &Connection, request: &Command) -> Answer {
    let asked: UsageRequest<'_> = request.header()?;
    let id = asked.instance_id.map(instance_id).transpose()?;
    let (from, to) = (
        Timestamp::from_ms(asked.from_ms),
        Timestamp::from_ms(asked.to_ms),
    );
    let usage = instances(connection)?.usage(id.as_ref(), from, to).await?;
    let usage = usage.into_iter().map(|(id, record)| UsageInfo {
        instance_id: id.to_string(),
        hour_ms: record.hour_ms,
        send_units: record.send_units,
        receive_units: record.receive_units,
        storage_bytes: record.storage_bytes,
        elastic_tps: record.elastic_tps,
    });
    Ok(Reply::body(request, &UsageList(usage.collect())))
}

fn instances(connection: &Connection) -> Result<&Arc<Instances>, Refusal> {
    let instances = connection.front.instances.as_ref();
    instances.ok_or_else(|| {
        let text = "this server has no registry of instances";
        Refusal::new(ResponseCode::RequestCodeNotSupported, text)
    })
}

fn id(request: &Command) -> Result<InstanceId, Refusal> {
    let header: InstanceRequest<'_> = request.header()?;
    instance_id(header.instance_id)
}

fn instance_id(text: &str) -> Result<InstanceId, Refusal> {
    InstanceId::new(text).map_err(|error| Refusal::of(ResponseCode::InvalidParameter, &error))
}

fn info(connection: &Connection, record: &InstanceRecord) -> InstanceInfo {
    let instance = connection.front.router.instance(&record.id).ok();
    let counts = instance.map(|instance| instance.application_counts());
    InstanceInfo {
        instance_id: Some(record.id.to_string()),
        series: Some(record.series.name().to_owned()),
        display_name: Some(record.display_name.clone()),
        remark: Some(record.remark.clone()),
        tags: Some(record.tags.clone()),
        created_at_ms: Some(record.created_at.ms()),
        topic_count: counts.map(|(topics, _)| topics as u64),
        group_count: counts.map(|(_, groups)| groups as u64),
        status: Some(match connection.front.is_updating(&record.id) {
            true => "CHANGING".to_owned(),
            false => record.status.to_string(),
        }),
        plan: record.plan.as_ref().map(|plan| PlanInfo {
            node_count: (record.nodes > 0).then_some(record.nodes),
            ..plan::info(plan)
        }),
    }
}
