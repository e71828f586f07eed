//! Nodes of the cluster (codes 31021 to 31023, which are this server's own): listed, taken out of
//! the routes for sends, taken out for good.

use std::sync::Arc;

use broker::{Nodes, Peer, RemoveNodeError};
use wire::remoting::{
    Command, ResponseCode,
    body::{NodeInfo, NodeList},
    header::{OfferNodeRequest, RemoveNodeRequest},
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};

/// Code 31021.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let nodes = nodes(connection)?.all().into_iter().map(info);
    Ok(Reply::body(request, &NodeList(nodes.collect())))
}

/// Code 31022.
pub(super) async fn remove(connection: &Connection, request: &Command) -> Answer {
    let header: RemoveNodeRequest<'_> = request.header()?;
    if connection.front.control.is_some() {
        let text = "nodes of a fleet are its own: change how many an instance has";
        return Err(Refusal::new(ResponseCode::IllegalOperation, text));
    }
    let nodes = nodes(connection)?;
    nodes.remove(header.name, header.force).await?;
    Ok(Reply::success(request))
}

/// Code 31023.
pub(super) async fn offer(connection: &Connection, request: &Command) -> Answer {
    let header: OfferNodeRequest<'_> = request.header()?;
    let nodes = nodes(connection)?;
    let name = header.name;
    if !nodes.all().iter().any(|peer| peer.record.name == name) {
        let name = name.chars().take(64).collect();
        return Err(RemoveNodeError::NotFound { name }.into());
    }
    let wished = nodes.wish(name, |wish| wish.sends = header.sends).await;
    wished.map_err(RemoveNodeError::from)?;
    Ok(Reply::success(request))
}

fn nodes(connection: &Connection) -> Result<&Arc<Nodes>, Refusal> {
    let nodes = connection.front.nodes.as_ref();
    nodes.ok_or_else(|| {
        let text = "this server is on its own, expected a node of a cluster";
        Refusal::new(ResponseCode::RequestCodeNotSupported, text)
    })
}

fn info(peer: Peer) -> NodeInfo {
    let Peer {
        record,
        is_live,
        wish,
        state,
    } = peer;
    let unconsumed = state.as_ref().and_then(|state| state.unconsumed);
    // What it goes by, which may be an earlier wish; of one that is away the wish.
    let (sends, lock) = match state {
        Some(state) => (state.sends, state.lock),
        None => (wish.sends, wish.lock),
    };
    NodeInfo {
        name: record.name.clone(),
        number: record.number.get(),
        instance: record.instance.as_ref().map(ToString::to_string),
        version: record.version.clone(),
        addresses: record.addresses.clone(),
        is_live,
        sends,
        lock,
        unconsumed,
    }
}
