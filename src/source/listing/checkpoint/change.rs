//! The steps of the state, as they are written down.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{Cover, Pending};
use crate::layout::name::Day;
use crate::layout::place::Place;
use crate::s3::Object;
use crate::sink::Receipt;
use crate::source::listing::checkpoint::Swept;
use crate::source::listing::checkpoint::carried::Digest;

/// A step of the state. Only the functions below make one, so that what is committed was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Change(pub(super) Step);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Opened { instance: Uuid },
    Resumed { instance: Uuid },
    Begun(Pending),
    Forgotten,
    Delivered(Vec<Cover>),
    Rejected { key: String, day: Day, cause: String },
    Floor { folder: String, day: Day },
    Whole { folder: String, before: Day },
    Proven { folder: String, day: Day },
    Swept(Swept),
    // What version 0.1.0 wrote, with places as it knew them.
    Committed(Vec<Cover>),
    Troubled { flow_log: String, day: Day },
    Closed { flow_log: String, day: Day },
    ClosedWith { flow_log: String, day: Day, digest: Digest },
    Reopened { flow_log: String, day: Day },
}

impl Change {
    /// An instance begins to write. Of two instances this stops the older one.
    pub fn opened(instance: Uuid) -> Self {
        Self(Step::Opened { instance })
    }

    /// The batch that is being delivered passes from an instance that is gone to this one.
    pub fn resumed(instance: Uuid) -> Self {
        Self(Step::Resumed { instance })
    }

    /// Whether it is no more than the beginning of an instance.
    pub fn is_opening(&self) -> bool {
        matches!(self.0, Step::Opened { .. })
    }

    /// Whether it says what the platform has.
    pub fn is_commit(&self) -> bool {
        matches!(self.0, Step::Delivered(_))
    }

    /// A batch is about to be delivered.
    pub fn begun(pending: Pending) -> Self {
        Self(Step::Begun(pending))
    }

    /// The batch that was pending never left: its records are delivered anew.
    pub fn forgotten() -> Self {
        Self(Step::Forgotten)
    }

    /// The platform accepted a batch, or there was nothing in it to accept.
    pub fn committed(receipt: Receipt) -> Self {
        Self(Step::Delivered(receipt.into_covers()))
    }

    /// An object, or the rest of it, cannot be delivered.
    pub fn rejected(object: &Object, cause: &str) -> Self {
        Self(Step::Rejected { key: object.key.clone(), day: object.place().day, cause: cause.to_owned() })
    }

    /// In this folder of days, those before `day` are done but for stragglers.
    pub fn floor(folder: &str, day: Day) -> Self {
        Self(Step::Floor { folder: folder.to_owned(), day })
    }
    /// In this folder, all is done that lies in days before `before` and that S3 took before that day, but for what has
    /// a file of its day.
    pub fn whole(folder: &str, before: Day) -> Self {
        Self(Step::Whole { folder: folder.to_owned(), before })
    }

    /// What version 0.1.0 knew of a place is in the file of that day.
    pub fn proven(Place { folder, day }: Place) -> Self {
        Self(Step::Proven { folder, day })
    }

    /// The sweep has come so far.
    pub fn swept(swept: Swept) -> Self {
        Self(Step::Swept(swept))
    }
}
