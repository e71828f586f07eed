//! TLS towards members of etcd: who vouches for them, and who this side is to them.

use std::{io, path::PathBuf, sync::Arc};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use super::unavailable;
use crate::meta::MetadataError;

/// Port where an address has none, that of etcd.
const PORT: u16 = 2_379;

/// Files with what TLS to etcd needs, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// Certificates of those who vouch for the members.
    pub authorities: PathBuf,
    /// Certificate chain and private key that this side shows; etcd takes the common name for the
    /// user where it has users.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl EtcdTls {
    /// Reads the files.
    pub(super) fn connector(&self) -> Result<TlsConnector, MetadataError> {
        let wrong = |what: &PathBuf, error: &dyn std::fmt::Display| {
            unavailable("open", format!("read `{}`: {error}", what.display()))
        };
        let chain = |path: &PathBuf| {
            let read = CertificateDer::pem_file_iter(path);
            let read = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
            read.map_err(|error| wrong(path, &error))
        };
        let mut roots = RootCertStore::empty();
        for certificate in chain(&self.authorities)? {
            let added = roots.add(certificate);
            added.map_err(|error| wrong(&self.authorities, &error))?;
        }
        if roots.is_empty() {
            return Err(wrong(&self.authorities, &"no certificate in it"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unavailable("open", error))?
            .with_root_certificates(roots);
        let mut config = match &self.own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let private = PrivateKeyDer::from_pem_file(key);
                let private = private.map_err(|error| wrong(key, &error))?;
                let config = config.with_client_auth_cert(chain(certificate)?, private);
                config.map_err(|error| wrong(certificate, &error))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// A channel to a member that speaks TLS, connected when it is needed.
pub(super) fn channel(endpoint: &Endpoint, connector: &TlsConnector) -> Channel {
    let connector = connector.clone();
    endpoint.connect_with_connector_lazy(tower::service_fn(move |address: Uri| {
        let connector = connector.clone();
        async move {
            let host = address.host().unwrap_or_default();
            // Brackets are for addresses in texts.
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let port = address.port_u16().unwrap_or(PORT);
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(name, stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    }))
}
