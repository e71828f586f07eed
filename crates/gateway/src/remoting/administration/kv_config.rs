//! Values that tools keep in the name server (codes 100, 101, 102, 219).

use wire::remoting::{
    Command, ResponseCode,
    body::TextTable,
    header::{GetKvConfigResponse, KvConfigRequest, KvNamespaceRequest, PutKvConfigRequest},
};

use crate::remoting::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};

/// Code 100.
pub(super) async fn put(connection: &Connection, request: &Command) -> Answer {
    let header: PutKvConfigRequest<'_> = request.header()?;
    let instance = connection.front.settle([])?;
    instance
        .put_kv_config(header.namespace, header.key, header.value)
        .await?;
    Ok(Reply::success(request))
}

/// Code 101.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let KvConfigRequest { namespace, key } = request.header()?;
    let instance = connection.front.settle([])?;
    let Some(value) = instance.kv_config(namespace, key) else {
        let remark = format!("key `{key}` not found in namespace `{namespace}`");
        return Err(Refusal::new(ResponseCode::QueryNotFound, remark));
    };
    let value = Some(value.as_str());
    Ok(Reply::header(request, &GetKvConfigResponse { value }))
}

/// Code 102.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let header: KvConfigRequest<'_> = request.header()?;
    let instance = connection.front.settle([])?;
    instance
        .delete_kv_config(header.namespace, header.key)
        .await?;
    Ok(Reply::success(request))
}

/// Code 219.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let KvNamespaceRequest { namespace } = request.header()?;
    let instance = connection.front.settle([])?;
    let Some(table) = instance.kv_configs(namespace) else {
        let remark = format!("namespace `{namespace}` not found");
        return Err(Refusal::new(ResponseCode::QueryNotFound, remark));
    };
    Ok(Reply::body(request, &TextTable { table }))
}
