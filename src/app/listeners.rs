//! Where it listens.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::start_error::StartError;
use crate::config::{BucketKind, Config};

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// The embedded S3 endpoint, if there is one.
    pub s3: Option<SocketAddr>,
}

/// Everything that is listened on.
pub(super) struct Listeners {
    pub(super) api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) s3: Option<TcpListener>,
    /// A port that was left to the system is known now.
    pub(super) addresses: Addresses,
}

impl Listeners {
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let (api, api_at) = listen("http.listen", config.http.listen).await?;
        let (admin, admin_at) = listen("admin.listen", config.admin.listen).await?;
        let s3 = match config.objects.kind {
            BucketKind::Embedded => Some(listen("s3.listen", config.s3.listen).await?),
            BucketKind::S3 => None,
        };
        let (s3, s3_at) = s3.unzip();
        Ok(Self { api, admin, s3, addresses: Addresses { api: api_at, admin: admin_at, s3: s3_at } })
    }
}

async fn listen(key: &'static str, asked: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { key, address: asked, source };
    let listener = TcpListener::bind(asked).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}
