//! The suite of the port.

use crate::ledger::{LedgerWorld, ledger_cases};
use crate::world::{Resolving, ledger, nodes};

struct World(Resolving);

impl World {
    async fn new() -> Option<Self> {
        Some(Self(ledger(&nodes()?).await))
    }
}

impl LedgerWorld for World {
    type Ledger = Resolving;

    fn ledger(&self) -> &Resolving {
        &self.0
    }
}

ledger_cases!(World::new().await);
