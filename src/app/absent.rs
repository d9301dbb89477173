//! Engines that this build was made without: the settings that choose them are refused before anything is opened.

#[cfg(not(feature = "aws"))]
pub(super) mod aws {
    use tokio::sync::watch;
    use uuid::Uuid;

    use crate::adapters::{Ledger, Objects, Queue, Signer};
    use crate::app::StartError;
    use crate::app::ports::Site;
    use crate::app::upkeep::Upkeep;
    use crate::config::Config;

    const ABSENT: StartError = StartError::Absent { engine: "AWS", feature: "aws" };

    pub(in crate::app) async fn queue(_: &Site<'_>, _: &mut Upkeep) -> Result<Queue, StartError> {
        Err(ABSENT)
    }

    pub(in crate::app) async fn objects(_: &Site<'_>, _: &mut Upkeep) -> Result<Objects, StartError> {
        Err(ABSENT)
    }

    pub(in crate::app) async fn signer(_: &Site<'_>, _: &mut Upkeep) -> Result<Signer, StartError> {
        Err(ABSENT)
    }

    /// Embedded parts are in the folder of their ledger.
    pub(in crate::app) async fn settle_identity(
        _: &Site<'_>,
        _: (&Ledger, &Objects, &Queue),
        _: &mut Upkeep,
    ) -> Result<watch::Receiver<Option<String>>, StartError> {
        Ok(watch::channel(None).1)
    }

    pub(in crate::app) async fn check_queue(_: &Config, _: Option<Uuid>) -> Result<String, String> {
        Err(ABSENT.to_string())
    }

    pub(in crate::app) async fn check_objects(_: &Config, _: Option<Uuid>) -> Result<String, String> {
        Err(ABSENT.to_string())
    }

    pub(in crate::app) async fn check_signer(_: &Config) -> Result<String, String> {
        Err(ABSENT.to_string())
    }
}

#[cfg(not(feature = "cql"))]
pub(super) mod cql {
    use uuid::Uuid;

    use crate::adapters::Ledger;
    use crate::app::StartError;
    use crate::app::ports::Site;
    use crate::app::upkeep::Upkeep;
    use crate::config::Config;

    const ABSENT: StartError = StartError::Absent { engine: "CQL", feature: "cql" };

    pub(in crate::app) fn ledger(_: &Site<'_>, _: &mut Upkeep) -> Result<Ledger, StartError> {
        Err(ABSENT)
    }

    pub(in crate::app) async fn check_ledger(_: &Config) -> Result<String, String> {
        Err(ABSENT.to_string())
    }

    pub(in crate::app) async fn identity(_: &Config) -> Option<Uuid> {
        None
    }
}

#[cfg(not(feature = "nats"))]
pub(super) mod nats {
    use crate::adapters::Log;
    use crate::app::StartError;
    use crate::app::ports::Site;
    use crate::app::upkeep::Upkeep;
    use crate::config::Config;

    const ABSENT: StartError = StartError::Absent { engine: "NATS", feature: "nats" };

    pub(in crate::app) async fn log(_: &Site<'_>) -> Result<Log, StartError> {
        Err(ABSENT)
    }

    pub(in crate::app) const fn watch_log(_: &Site<'_>, _: &Log, _: &mut Upkeep) -> bool {
        false
    }

    pub(in crate::app) async fn check_log(_: &Config) -> Result<String, String> {
        Err(ABSENT.to_string())
    }
}
