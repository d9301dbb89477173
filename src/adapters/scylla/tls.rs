//! TLS to the servers, with certificates of their own authority.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::errors::ConnectError;
use crate::config::ScyllaSettings;

/// What the settings say about TLS; none: plain connections. Reads files, which blocks.
///
/// The driver connects by address, so servers are known by the IP addresses in their certificates.
pub(super) fn client_config(settings: &ScyllaSettings) -> Result<Option<Arc<ClientConfig>>, ConnectError> {
    let Some(ca_file) = &settings.tls_ca_file else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_file)? {
        roots.add(certificate).map_err(|error| unusable(ca_file, error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(ca_file, error))?
        .with_root_certificates(roots);
    let config = match (&settings.tls_cert_file, &settings.tls_key_file) {
        (Some(cert_file), Some(key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| unusable(key_file, error))?;
            let chain = certificates(cert_file)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable(cert_file, error))?
        }
        (None, _) | (_, None) => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

/// The certificates in a file; none is an error, for it would trust nobody.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unusable(path, error))?;
    if certificates.is_empty() { Err(unusable(path, "it holds no certificate")) } else { Ok(certificates) }
}

fn unusable(path: &Path, reason: impl ToString) -> ConnectError {
    ConnectError::File { path: path.display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_authority_there_is_no_tls() {
        assert!(client_config(&ScyllaSettings::default()).expect("nothing to read").is_none());
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_an_error_not_no_tls() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ca.pem");
        let settings = ScyllaSettings { tls_ca_file: Some(path.clone()), ..ScyllaSettings::default() };
        let refused = |why: &str| {
            let error = client_config(&settings).expect_err(why);
            assert!(matches!(&error, ConnectError::File { path, .. } if path.ends_with("ca.pem")), "{error}");
        };
        refused("it is not there");
        std::fs::write(&path, "").expect("write");
        refused("it is empty");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .expect("write");
        refused("it is no certificate");
    }
}
