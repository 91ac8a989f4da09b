//! The customer's bucket.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_flowlogs::s3::{Answer, Content, ListRequest, Object, Page, S3Error, S3Failure, Store};
use bytes::Bytes;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};

use super::dice::Dice;
use super::plan::Planned;
use super::world::{Fault, World};

/// Entries of a page: few, so that listings are long.
const PAGE: usize = 5;

/// The bucket as one instance sees it.
#[derive(Debug)]
pub(crate) struct SimulatedBucket {
    pub(crate) world: Arc<World>,
    pub(crate) instance: usize,
}

impl SimulatedBucket {
    fn page(&self, now: Timestamp, request: &ListRequest<'_>) -> Page {
        let objects = self.world.plan.objects.iter().filter(|object| object.is_there(now));
        let after = request.continued.or(request.start_after).unwrap_or_default();
        let mut keys: Vec<&Planned> = objects
            .filter(|object| object.key.starts_with(request.prefix) && object.key.as_str() > after)
            .collect();
        keys.sort_by(|a, b| a.key.cmp(&b.key));
        let mut page = Page::default();
        let mut folders = BTreeSet::new();
        for object in keys {
            let folder = object.key[request.prefix.len()..].find('/').filter(|_| request.folded);
            let folder = folder.map(|end| &object.key[..=request.prefix.len() + end]);
            if folder.is_some_and(|folder| folders.contains(folder) || after.starts_with(folder)) {
                continue;
            }
            if page.objects.len() + folders.len() == PAGE {
                let last = page.objects.last().map(|object: &Object| object.key.as_str());
                // After a folder is after all that is in it.
                let last_folder = folders.last().map(|folder: &&str| format!("{folder}\u{10ffff}"));
                page.next = last.map(str::to_owned).max(last_folder);
                break;
            }
            match folder {
                Some(folder) => drop(folders.insert(folder)),
                None => page.objects.push(listed(object)),
            }
        }
        page.folders = folders.into_iter().map(str::to_owned).collect();
        page
    }

    fn body(
        &self,
        now: Timestamp,
        asked: &Object,
        is_whole: bool,
        fault: Fault,
        dice: Dice,
    ) -> Result<Bytes, (S3Failure, &'static str)> {
        let mut there = self.world.plan.objects.iter().filter(|object| object.is_there(now));
        let Some(object) = there.find(|object| object.key == asked.key) else {
            return Err((S3Failure::Gone, "HTTP 404"));
        };
        if !is_whole && listed(object).etag != asked.etag {
            return Err((S3Failure::Changed, "HTTP 412"));
        }
        match fault {
            Fault::None => Ok(object.body.clone()),
            Fault::Failed => {
                let failures =
                    [S3Failure::Passing, S3Failure::Denied, S3Failure::Changed, S3Failure::Archived];
                Err((dice.one_of("failure", &failures), "HTTP 500 or so"))
            }
            Fault::Lost if dice.chance("cut", 50) => Ok(object.body.slice(..object.body.len() / 2)),
            Fault::Lost => {
                let mut damaged = object.body.to_vec();
                let place = usize::try_from(dice.below("place", damaged.len() as u64)).unwrap();
                damaged[place] ^= 0x55;
                Ok(damaged.into())
            }
        }
    }
}

fn listed(object: &Planned) -> Object {
    Object {
        key: object.key.clone(),
        body_bytes: object.body.len() as u64,
        last_modified: object.taken,
        etag: Some(format!("\"{}-{}\"", object.body.len(), object.taken)),
    }
}

impl Store for SimulatedBucket {
    fn list<'a>(&'a self, request: ListRequest<'a>) -> Answer<'a, Page> {
        let failed = || S3Error::new("list", "logs", request.prefix, "HTTP 503".into(), S3Failure::Passing);
        let denied = || S3Error::new("list", "logs", request.prefix, "HTTP 403".into(), S3Failure::Denied);
        let is_denied = |now: Timestamp| {
            let denied = self.world.plan.denied.as_ref();
            denied.is_some_and(|(folder, until)| request.prefix.starts_with(folder) && now < *until)
        };
        let about =
            format!("{}|{}", request.prefix, request.continued.or(request.start_after).unwrap_or_default());
        let listed = async move {
            let step = self.world.step(self.instance, "list", &about, |_, now, fault, _| match fault {
                Fault::None if is_denied(now) => Err(denied()),
                Fault::None => Ok(self.page(now, &request)),
                Fault::Failed | Fault::Lost => Err(failed()),
            });
            step.await
        };
        listed.boxed()
    }

    fn read<'a>(&'a self, object: &'a Object, offset: u64, length: u64) -> Answer<'a, Content> {
        let read = async move {
            let step = self.world.step(self.instance, "get", &object.key, |_, now, fault, dice| {
                let is_whole = offset == 0 && length >= object.body_bytes;
                self.body(now, object, is_whole, fault, dice)
            });
            let body = step.await.map_err(|(failure, detail)| {
                S3Error::new("get", "logs", &object.key, detail.to_owned(), failure)
            })?;
            let from = usize::try_from(offset).unwrap().min(body.len());
            let to = usize::try_from(offset.saturating_add(length)).unwrap().min(body.len());
            Ok(Content::from(vec![body.slice(from..to)]))
        };
        read.boxed()
    }

    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Object>> {
        let looked = async move {
            let step = self.world.step(self.instance, "head", key, |_, now, fault, _| {
                let mut there = self.world.plan.objects.iter().filter(|object| object.is_there(now));
                there.find(|object| object.key == key).map(listed).filter(|_| fault == Fault::None)
            });
            Ok(step.await)
        };
        looked.boxed()
    }

    fn now(&self) -> Timestamp {
        let now = self.world.now();
        let wrong = self.world.plan.clock.filter(|wrong| (wrong.from..wrong.until).contains(&now));
        now + wrong.map_or(SignedDuration::ZERO, |wrong| wrong.by)
    }
}
