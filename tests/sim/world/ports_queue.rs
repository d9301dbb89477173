//! The queue, as a node sees it.

use std::time::Duration;

use crate::fault_injection::Op;
use tokio::time::{Instant, timeout_at};
use wharfinger::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

use super::fate::Way;
use super::port::{PORT_PANIC, Port, Trouble, pause};
use super::ports_log::as_fated;

impl QueuePort for Port {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        self.call(Op::QueueSend, None, away, |state| {
            state.send(body.clone());
            Ok(())
        })
        .await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        let (shared, node) = (&self.shared, self.node);
        let fate = shared.enter(node).fate(node, Op::QueueReceive);
        pause(fate.before).await;
        match fate.way {
            Way::Refused | Way::Lost => return Err(away(Trouble::Refused)),
            Way::Stalled => return std::future::pending().await,
            Way::Panics => panic!("{PORT_PANIC}"),
            Way::Fine | Way::Unanswered | Way::Late(_) | Way::Twice | Way::Dropped => {}
        }
        let deadline = Instant::now() + wait;
        let bell = shared.look().bell(None);
        let handed = loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing slips in between
            let (handed, next) = shared.enter(node).receive(max);
            if !handed.is_empty() || Instant::now() >= deadline {
                break handed;
            }
            let until = next.map_or(deadline, |next| deadline.min(Instant::now() + next));
            drop(timeout_at(until, rung).await);
        };
        Ok(as_fated(fate.way, handed))
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        self.call(Op::QueueDelete, None, away, |state| {
            state.delete_messages(&receipts);
            Ok(Vec::new())
        })
        .await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.call(Op::QueueExtend, None, away, |state| state.extend(receipt, visibility)).await
    }
}

fn away(trouble: Trouble) -> QueueError {
    QueueError { reason: format!("{trouble:?}") }
}
