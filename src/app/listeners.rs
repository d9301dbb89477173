//! Where it listens.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::data_dir;
use super::start_error::StartError;
use crate::config::{BucketKind, Config};

/// Connections that wait for an accept, as tokio has it.
const BACKLOG: u32 = 1024;

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

/// Ports that are bound, and not listened on yet: a start takes them before it makes anything, and listens once the data
/// is open.
#[derive(Debug)]
pub struct Ports {
    api: BoundListener,
    admin: BoundListener,
    s3: Option<BoundListener>,
}

#[derive(Debug)]
struct BoundListener {
    key: &'static str,
    asked: SocketAddr,
    socket: TcpSocket,
}

/// Everything that is listened on.
pub(super) struct Listeners {
    pub(super) api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) s3: Option<TcpListener>,
    /// A port that was left to the system is known now.
    pub(super) addresses: Addresses,
}

impl Ports {
    /// Binds the ports of these settings, unless another process holds the data, or the data folder is not for them. Makes
    /// nothing on disk.
    ///
    /// # Errors
    /// An address is taken or not of this machine, the data is held, or the folder holds something else.
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        if let Some(held) = data_dir::holder(config) {
            return Err(held);
        }
        data_dir::check(config)?;
        let api = BoundListener::bind("http.listen", config.http.listen)?;
        let admin = BoundListener::bind("admin.listen", config.admin.listen)?;
        let s3 = match config.objects.kind {
            BucketKind::Embedded => Some(BoundListener::bind("s3.listen", config.s3.listen)?),
            BucketKind::S3 => None,
        };
        Ok(Self { api, admin, s3 })
    }

    pub(super) fn listen(self) -> Result<Listeners, StartError> {
        let (api, api_at) = self.api.listen()?;
        let (admin, admin_at) = self.admin.listen()?;
        let (s3, s3_at) = self.s3.map(BoundListener::listen).transpose()?.unzip();
        Ok(Listeners { api, admin, s3, addresses: Addresses { api: api_at, admin: admin_at, s3: s3_at } })
    }
}

impl BoundListener {
    fn bind(key: &'static str, asked: SocketAddr) -> Result<Self, StartError> {
        let bound = || {
            let socket = if asked.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(asked)?;
            Ok(socket)
        };
        match bound() {
            Ok(socket) => Ok(Self { key, asked, socket }),
            Err(source) => Err(StartError::Listen { key, address: asked, source }),
        }
    }

    fn listen(self) -> Result<(TcpListener, SocketAddr), StartError> {
        let Self { key, asked, socket } = self;
        let refused = |source| StartError::Listen { key, address: asked, source };
        let listener = socket.listen(BACKLOG).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok((listener, address))
    }
}
