//! What the trigger does with objects under which the process may have died ([`crashes`]).

use super::batch::Batch;
use super::fetch::{Opened, Unopened};
use super::{Trigger, crashes};
use crate::s3::Object;
use crate::shutdown::Stopped;

impl Trigger {
    /// Rejects the objects under which the process died again and again. Those that may be such ones rest first.
    pub(super) async fn judge_crashes(&self) -> Result<(), Stopped> {
        let crashes = self.ledger.crashes();
        for (object, deaths) in crashes.take_hopeless() {
            if self.ledger.look(|checkpoint| checkpoint.wants(&object)) {
                let key = object.key.as_str();
                tracing::error!(
                    key,
                    deaths,
                    "object rejected: the process died each time that it read it; its records, or the rest of them, are not delivered"
                );
                self.delivery.metrics.object_rejected(crashes::CAUSE);
                self.ledger.reject(&object, crashes::CAUSE).await?;
            }
        }
        for suspect in crashes.suspects() {
            if self.ledger.look(|checkpoint| checkpoint.wants(&suspect)) {
                self.resting.failed(&suspect);
            } else {
                crashes.survived(&suspect.key).await?;
            }
        }
        crashes.write().await
    }

    /// Delivers objects while nothing else is done, so that a death is that of the one that is open.
    pub(super) async fn deliver_alone(&mut self, objects: Vec<Object>) -> Result<(), Stopped> {
        let crashes = self.ledger.crashes().clone();
        let mut batch = Batch::new(self.configuration.chunk_size);
        for object in objects {
            crashes.opens(&object).await?;
            let key = object.key.clone();
            let opened = self.delivery.shutdown.race(self.opener.clone().open(object)).await?;
            self.take(opened, &mut batch).await?;
            crashes.survived(&key).await?;
            self.hand_over(&mut batch).await?;
        }
        Ok(())
    }

    /// Takes what was opened into batches, or notes why it could not be.
    pub(super) async fn take(
        &mut self,
        opened: Result<Opened, Box<Unopened>>,
        batch: &mut Batch,
    ) -> Result<(), Stopped> {
        match opened {
            Ok(opened) => self.drain(opened, batch).await,
            Err(unopened) => self.fail(&unopened.object, &unopened.error, batch).await,
        }
    }
}
