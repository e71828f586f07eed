//! Administration of the nodes of a cluster, with codes of this server's own.

use wire::remoting::{
    Command, RequestCode,
    body::{NodeInfo, NodeList},
    header::{OfferNodeRequest, RemoveNodeRequest},
};

use super::RemotingClient;
use crate::ClientError;

impl RemotingClient {
    /// The nodes of the server's cluster (31021), by number.
    ///
    /// # Errors
    /// When the server is on its own or does not answer.
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, ClientError> {
        let command = Command::request(RequestCode::ListNodes, &());
        let list: NodeList = self.body(command).await?;
        Ok(list.0)
    }

    /// Takes a node out for good (31022); with `force` what it has may be lost.
    ///
    /// # Errors
    /// When it is still sent to, has messages that are not consumed, or the server does not answer.
    pub async fn remove_node(&self, name: &str, force: bool) -> Result<(), ClientError> {
        let header = RemoveNodeRequest { name, force };
        self.call(Command::request(RequestCode::RemoveNode, &header))
            .await?;
        Ok(())
    }

    /// Puts a node into the routes for sends, or takes it out of them (31023).
    ///
    /// # Errors
    /// When there is none of that name, or the server does not answer.
    pub async fn offer_node(&self, name: &str, sends: bool) -> Result<(), ClientError> {
        let header = OfferNodeRequest { name, sends };
        self.call(Command::request(RequestCode::OfferNode, &header))
            .await?;
        Ok(())
    }
}
