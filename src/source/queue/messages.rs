//! The messages that were taken and are not settled yet: which objects each announces, and what became of them. A state
//! machine that knows neither SQS nor S3.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::contract::Position;
use crate::layout::fingerprint::Fingerprint;
use crate::sqs::Message;

/// Objects that are remembered as delivered, so that a second notification costs nothing: in some 3 MB.
const REMEMBERED: usize = 100_000;
/// Objects that are remembered as delivered in part: those that broke off in the middle.
const PARTIAL: usize = 1_000;

/// An object of one of many buckets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// Its bucket.
    pub bucket: Arc<str>,
    /// Its key.
    pub key: String,
}

/// What is known of the messages in flight.
#[derive(Debug, Default)]
pub struct Messages {
    /// The handles of messages that were received and not read yet.
    unread: Vec<String>,
    held: HashMap<String, Held>,
    objects: HashMap<Name, Wanted>,
    delivered: Delivered,
    /// How far objects were delivered of which a batch ended in the middle, and of which content.
    partial: HashMap<Name, (Option<String>, Position)>,
    /// The handles of messages that are to be deleted.
    deletable: Vec<String>,
    /// How many messages were settled when somebody else may have had them already.
    late: usize,
    /// The handles of messages that are to be given back, and after how long they may come again.
    returned: Vec<(String, Duration)>,
}

/// A message in flight.
#[derive(Debug)]
struct Held {
    handle: String,
    /// How many of its objects are not settled.
    left: usize,
    /// After how long it may come again, if one of its objects failed.
    again: Option<Duration>,
    /// When it is to be kept for longer; `None` if it is of no use any more: somebody else has got it.
    due: Option<Instant>,
    /// Nobody else gets it before.
    until: Instant,
}

/// An object that is to be delivered.
#[derive(Debug)]
struct Wanted {
    etag: Option<String>,
    /// The messages that announce it.
    messages: Vec<String>,
    /// How often one of them was received.
    receives: u32,
}

impl Messages {
    /// Messages were received, to be read one after the other.
    pub fn received(&mut self, received: &[Message]) {
        self.unread = received.iter().map(|message| message.handle.clone()).collect();
    }

    /// A message is left as it is.
    pub fn left(&mut self, handle: &str) {
        self.unread.retain(|unread| unread != handle);
    }

    /// A message came that was `asked` for then, and is nobody else's for `visibility`. Gives those of its objects that nobody
    /// works on yet, each with how far it was delivered.
    pub fn took(
        &mut self,
        Message { id, handle, receives, .. }: &Message,
        asked: Instant,
        visibility: Duration,
        objects: Vec<(Name, Option<String>)>,
    ) -> Vec<(Name, Position)> {
        self.left(handle);
        let (due, until) = (Some(asked + visibility / 2), asked + visibility);
        if let Some(held) = self.held.get_mut(id) {
            // It came again while it is worked on.
            (held.handle, held.due, held.until) = (handle.clone(), due, until);
            return Vec::new();
        }
        let mut held = Held { handle: handle.clone(), left: 0, again: None, due, until };
        let mut wanted = Vec::new();
        for (name, etag) in objects {
            if self.delivered.has(&name, etag.as_deref()) {
                continue;
            }
            match self.objects.get_mut(&name) {
                Some(known) if known.messages.iter().any(|message| message == id) => continue,
                // It was replaced meanwhile: first the one that is worked on.
                Some(known) if known.etag != etag => held.again = Some(Duration::from_secs(30)),
                Some(known) => {
                    known.messages.push(id.clone());
                    known.receives = known.receives.max(*receives);
                    held.left += 1;
                }
                None => {
                    let partial = self.partial.get(&name).filter(|(known, _)| *known == etag);
                    let position = partial.map(|(_, position)| *position).unwrap_or_default();
                    let (messages, receives) = (vec![id.clone()], *receives);
                    self.objects.insert(name.clone(), Wanted { etag, messages, receives });
                    held.left += 1;
                    wanted.push((name, position));
                }
            }
        }
        self.settle(id.clone(), held);
        wanted
    }

    /// An object was delivered up to here.
    pub fn delivered_to(&mut self, name: &Name, position: Position) {
        if let Some(wanted) = self.objects.get(name) {
            if self.partial.len() >= PARTIAL {
                self.partial.clear();
            }
            self.partial.insert(name.clone(), (wanted.etag.clone(), position));
        }
    }

    /// How often an object was tried, this time included.
    pub fn attempts(&self, name: &Name) -> u32 {
        self.objects.get(name).map_or(1, |wanted| wanted.receives)
    }

    /// An object needs no delivery any more: it was delivered, rejected by name, or is gone.
    pub fn done(&mut self, name: &Name) {
        self.partial.remove(name);
        if let Some(wanted) = self.objects.remove(name) {
            self.delivered.add(name, wanted.etag.as_deref());
            self.end(wanted, None);
        }
    }

    /// An object could not be read: its messages may come again after a time.
    pub fn failed(&mut self, name: &Name, again: Duration) {
        if let Some(wanted) = self.objects.remove(name) {
            self.end(wanted, Some(again));
        }
    }

    fn end(&mut self, wanted: Wanted, again: Option<Duration>) {
        for id in wanted.messages {
            if let Some(mut held) = self.held.remove(&id) {
                held.left -= 1;
                held.again = held.again.max(again);
                self.settle(id, held);
            }
        }
    }

    fn settle(&mut self, id: String, held: Held) {
        match (held.left, held.again) {
            (0, None) => {
                self.late += usize::from(held.due.is_some() && held.until <= Instant::now());
                self.deletable.push(held.handle);
            }
            (0, Some(again)) => self.returned.push((held.handle, again)),
            _ => drop(self.held.insert(id, held)),
        }
    }

    /// A message that announces nothing that is to be delivered.
    pub fn delete(&mut self, handle: String) {
        self.left(&handle);
        self.deletable.push(handle);
    }

    /// How many messages are in flight.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// Takes the messages that are to be deleted.
    pub fn take_deletable(&mut self) -> Vec<String> {
        std::mem::take(&mut self.deletable)
    }

    /// How many messages were settled, since this was asked, that somebody else may have had by then.
    pub fn take_late(&mut self) -> usize {
        std::mem::take(&mut self.late)
    }

    /// Takes the messages that are to be given back, and after how long they may come again.
    pub fn take_returned(&mut self) -> Vec<(String, Duration)> {
        std::mem::take(&mut self.returned)
    }

    /// The messages that are to be kept for `visibility` from now on. Until then, they are not given again.
    pub fn take_due(&mut self, visibility: Duration) -> Vec<String> {
        let now = Instant::now();
        let due = self.held.values_mut().filter(|held| held.due.is_some_and(|due| due <= now));
        let taken = due.map(|held| {
            held.due = Some(now + visibility / 2);
            held.handle.clone()
        });
        taken.collect()
    }

    /// Nobody else gets these before `until`.
    pub fn kept(&mut self, handles: &[String], until: Instant) {
        let kept = self.held.values_mut().filter(|held| handles.contains(&held.handle));
        kept.for_each(|held| held.until = until);
    }

    /// These could not be kept: it is tried again after a time.
    pub fn try_again(&mut self, handles: &[String], after: Duration) {
        let again = Some(Instant::now() + after);
        let ours = self.held.values_mut().filter(|held| held.due.is_some() && handles.contains(&held.handle));
        ours.for_each(|held| held.due = again);
    }

    /// Somebody else has got these messages. Gives how many of them were in flight.
    pub fn lost(&mut self, handles: &[String]) -> usize {
        let lost = self.held.values_mut().filter(|held| handles.contains(&held.handle));
        lost.map(|held| held.due = None).count()
    }

    /// Takes all messages in flight that are still ours.
    pub fn take_all(&mut self) -> Vec<String> {
        self.objects.clear();
        let ours = self.held.drain().filter(|(_, held)| held.due.is_some()).map(|(_, held)| held.handle);
        self.unread.drain(..).chain(ours).collect()
    }
}

/// What was delivered, as far as it is remembered: the oldest is forgotten first.
#[derive(Debug, Default)]
struct Delivered {
    known: HashSet<Fingerprint>,
    in_order: VecDeque<Fingerprint>,
}

impl Delivered {
    fn fingerprint(name: &Name, etag: Option<&str>) -> Fingerprint {
        Fingerprint::of(&format!("{}\0{}\0{}", name.bucket, name.key, etag.unwrap_or_default()))
    }

    fn has(&self, name: &Name, etag: Option<&str>) -> bool {
        self.known.contains(&Self::fingerprint(name, etag))
    }

    fn add(&mut self, name: &Name, etag: Option<&str>) {
        let fingerprint = Self::fingerprint(name, etag);
        if self.known.insert(fingerprint) {
            self.in_order.push_back(fingerprint);
        }
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIBILITY: Duration = Duration::from_secs(120);

    fn name(key: &str) -> Name {
        Name { bucket: "b".into(), key: key.to_owned() }
    }

    fn objects(keys: &[&str]) -> Vec<(Name, Option<String>)> {
        keys.iter().map(|key| (name(key), Some("1".to_owned()))).collect()
    }

    fn took(
        messages: &mut Messages,
        id: &str,
        handle: &str,
        objects: Vec<(Name, Option<String>)>,
    ) -> Vec<String> {
        let (id, handle) = (id.to_owned(), handle.to_owned());
        let message = Message { id, handle, body: String::new(), receives: 1 };
        messages
            .took(&message, Instant::now(), VISIBILITY, objects)
            .into_iter()
            .map(|(name, _)| name.key)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_deleted_when_all_its_objects_are_done_and_not_before() {
        let mut messages = Messages::default();
        assert_eq!(took(&mut messages, "1", "h1", objects(&["a", "b"])), ["a", "b"]);
        // Another message announces one of them again, and one more.
        assert_eq!(took(&mut messages, "2", "h2", objects(&["b", "c"])), ["c"]);
        messages.done(&name("a"));
        assert!(messages.take_deletable().is_empty());
        messages.done(&name("b"));
        assert_eq!(messages.take_deletable(), ["h1"]);
        messages.done(&name("c"));
        assert_eq!((messages.take_deletable(), messages.count()), (vec!["h2".to_owned()], 0));
        // A repeat costs nothing, but not of what was replaced.
        assert!(took(&mut messages, "3", "h3", objects(&["a"])).is_empty());
        assert_eq!(messages.take_deletable(), ["h3"]);
        let replaced = vec![(name("a"), Some("2".to_owned()))];
        assert_eq!(took(&mut messages, "4", "h4", replaced), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_of_which_an_object_failed_comes_again_when_the_others_are_done() {
        let mut messages = Messages::default();
        took(&mut messages, "1", "h1", objects(&["a", "b"]));
        messages.failed(&name("a"), Duration::from_secs(30));
        assert!(messages.take_returned().is_empty());
        messages.done(&name("b"));
        assert_eq!(messages.take_returned(), [("h1".to_owned(), Duration::from_secs(30))]);
        assert!(messages.take_deletable().is_empty());
        assert_eq!(took(&mut messages, "1", "h2", objects(&["a", "b"])), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_kept_at_half_their_time_until_somebody_else_has_them() {
        let mut messages = Messages::default();
        took(&mut messages, "1", "h1", objects(&["a"]));
        assert!(messages.take_due(VISIBILITY).is_empty());
        tokio::time::advance(VISIBILITY / 2).await;
        assert_eq!(messages.take_due(VISIBILITY), ["h1"]);
        assert!(messages.take_due(VISIBILITY).is_empty());
        // It came again under another handle.
        assert!(took(&mut messages, "1", "h2", objects(&["a"])).is_empty());
        assert_eq!(messages.lost(&["h1".to_owned()]), 0);
        assert_eq!(messages.lost(&["h2".to_owned()]), 1);
        tokio::time::advance(VISIBILITY).await;
        assert!(messages.take_due(VISIBILITY).is_empty() && messages.take_all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_settled_when_its_time_has_passed_is_late_unless_it_was_kept_or_lost() {
        let mut messages = Messages::default();
        for id in ["in time", "kept", "lost", "late"] {
            took(&mut messages, id, id, objects(&[id]));
        }
        messages.done(&name("in time"));
        messages.lost(&["lost".to_owned()]);
        messages.kept(&["kept".to_owned()], Instant::now() + 2 * VISIBILITY);
        tokio::time::advance(VISIBILITY).await;
        for (id, late) in [("in time", 0), ("kept", 0), ("lost", 0), ("late", 1)] {
            messages.done(&name(id));
            assert_eq!(messages.take_late(), late, "{id}");
        }
        assert_eq!(messages.take_late(), 0);
    }
}
