//! TLS for every listener: the certificate that was given, or one made on first start and kept.
//!
//! The Java and Go gRPC SDKs speak TLS by default and trust any certificate, so that a made one
//! serves them. Both `h2` and `http/1.1` are offered by ALPN; what is spoken inside is told by the
//! bytes.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSetup {
    /// From these PEM files.
    Given {
        /// Certificate chain, the server's own first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made on first start and kept in this folder as `certificate.pem` and `key.pem`.
    Kept {
        /// The folder; made if it is not there.
        folder: PathBuf,
        /// Names and addresses for the certificate, besides localhost.
        names: Vec<String>,
    },
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{action} `{}`", path.display())]
    File {
        /// A bare verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate or key.
    #[error("read `{}`: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A name cannot be in a certificate, or making it failed.
    #[error("make certificate")]
    Make(#[from] rcgen::Error),
    /// Certificate and key do not go together, or are of an unsupported kind.
    #[error("use certificate `{}`", path.display())]
    Config {
        /// The certificate.
        path: PathBuf,
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
}

impl TlsSetup {
    /// Reads the certificate, making it first where it is to be made. Blocks on the file system.
    ///
    /// # Errors
    /// When a file cannot be read or written, or certificate and key do not fit.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let (certificate, key) = match self {
            Self::Given { certificate, key } => (certificate.clone(), key.clone()),
            Self::Kept { folder, names } => {
                let paths = (folder.join("certificate.pem"), folder.join("key.pem"));
                if !(paths.0.exists() && paths.1.exists()) {
                    make(folder, &paths.0, &paths.1, names)?;
                }
                paths
            }
        };
        let pem = |path: &Path, error: rustls::pki_types::pem::Error| TlsError::Pem {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let chain = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| pem(&certificate, error))?;
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| pem(&key, error))?;
        let config = |source| TlsError::Config {
            path: certificate.clone(),
            source,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(config)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(config)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }
}

fn make(folder: &Path, certificate: &Path, key: &Path, names: &[String]) -> Result<(), TlsError> {
    let mut all = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    all.extend(
        names
            .iter()
            .filter(|name| !all.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let mut params = rcgen::CertificateParams::new(all)?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "carrack");
    let pair = rcgen::KeyPair::generate()?;
    let made = params.self_signed(&pair)?;
    fs::create_dir_all(folder).map_err(|source| TlsError::File {
        action: "create folder",
        path: folder.to_owned(),
        source,
    })?;
    // The key goes first: a certificate without its key would be taken for a broken setup.
    write(key, &pair.serialize_pem(), 0o600)?;
    write(certificate, &made.pem(), 0o644)?;
    tracing::info!(certificate = %certificate.display(), "certificate made");
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let error = |source| TlsError::File {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(error)?;
    file.write_all(text.as_bytes()).map_err(error)?;
    file.sync_all().map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let tls = folder.path().join("tls");
        let setup = TlsSetup::Kept {
            folder: tls.clone(),
            names: vec!["broker.example".to_owned()],
        };
        setup.load().unwrap();
        let first = fs::read(tls.join("certificate.pem")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(tls.join("key.pem")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        setup.load().unwrap();
        assert_eq!(fs::read(tls.join("certificate.pem")).unwrap(), first);
    }

    #[test]
    fn a_missing_or_wrong_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.pem");
        fs::write(&path, "not a certificate").unwrap();
        let given = |certificate: &Path| TlsSetup::Given {
            certificate: certificate.to_owned(),
            key: path.clone(),
        };
        for certificate in [path.clone(), folder.path().join("none.pem")] {
            let error = given(&certificate).load().unwrap_err();
            assert!(
                error.to_string().contains(certificate.to_str().unwrap()),
                "{error}"
            );
        }
    }
}
