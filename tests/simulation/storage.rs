//! The storage that the platform lends.

use std::io::{Error, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_flowlogs::platform::storage::{Answer, Backend, Hold, Pieces, StorageError};
use bytes::Bytes;
use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::world::{Fault, State, World};

/// The storage as one instance sees it.
#[derive(Debug)]
pub(crate) struct SimulatedStorage {
    pub(crate) world: Arc<World>,
    pub(crate) instance: usize,
}

impl SimulatedStorage {
    /// A call that reads or changes the files, unless it fails; its answer may be lost.
    fn call<'a, T: Send + 'a>(
        &'a self,
        action: &'static str,
        path: &'a Path,
        effect: impl FnOnce(&mut State, Timestamp) -> Result<T, Error> + Send + 'a,
    ) -> Answer<'a, T> {
        let failed = move |source| StorageError::Io { action, path: path.into(), source };
        let called = async move {
            let about = path.display().to_string();
            let step = self.world.step(self.instance, action, &about, |state, now, fault, _| match fault {
                Fault::None => effect(state, now),
                Fault::Failed => Err(Error::from(std::io::ErrorKind::StorageFull)),
                Fault::Lost => effect(state, now).and(Err(Error::from(std::io::ErrorKind::TimedOut))),
            });
            step.await.map_err(failed)
        };
        called.boxed()
    }

    fn put(&self, state: &mut State, now: Timestamp, path: &Path, content: Bytes) {
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            state.born.get_or_insert(now);
        }
        if path.extension().is_some_and(|extension| extension == "entry") {
            state.deliveries.noted(self.instance, &content);
        }
        state.files.insert(path.to_owned(), content);
    }
}

impl Backend for SimulatedStorage {
    fn read<'a>(&'a self, path: &'a Path) -> Answer<'a, Option<Vec<u8>>> {
        self.call("read", path, |state, _| Ok(state.files.get(path).map(|content| content.to_vec())))
    }

    fn open<'a>(&'a self, path: &'a Path) -> Answer<'a, std::fs::File> {
        self.call("open", path, |_, _| Err(Error::from(std::io::ErrorKind::Unsupported)))
    }

    fn write<'a>(&'a self, path: &'a Path, content: Pieces) -> Answer<'a, ()> {
        self.call("write", path, move |state, now| {
            self.put(state, now, path, content.0.concat().into());
            Ok(())
        })
    }

    fn write_from<'a>(&'a self, path: &'a Path, mut content: Box<dyn Read + Send>) -> Answer<'a, ()> {
        let mut whole = Vec::new();
        content.read_to_end(&mut whole).unwrap();
        self.write(path, Pieces::from(whole))
    }

    fn create<'a>(&'a self, path: &'a Path, content: Bytes) -> Answer<'a, bool> {
        self.call("create", path, move |state, now| {
            if state.files.contains_key(path) {
                return Ok(false);
            }
            self.put(state, now, path, content);
            Ok(true)
        })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Answer<'a, ()> {
        self.call("rename", from, move |state, _| {
            let content = state.files.remove(from).ok_or(std::io::ErrorKind::NotFound)?;
            state.files.insert(to.to_owned(), content);
            Ok(())
        })
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> Answer<'a, ()> {
        self.call("remove", path, move |state, _| {
            state.files.remove(path);
            Ok(())
        })
    }

    fn remove_folder<'a>(&'a self, path: &'a Path) -> Answer<'a, ()> {
        self.call("remove", path, move |state, _| {
            state.files.retain(|file, _| !file.starts_with(path));
            Ok(())
        })
    }

    fn hold<'a>(&'a self, path: &'a Path) -> Answer<'a, Hold> {
        self.call("hold", path, move |state, _| {
            state.held.insert(path.to_owned(), self.instance);
            state.files.insert(path.to_owned(), Bytes::new());
            Ok(Box::new(Held { world: Arc::clone(&self.world), path: path.to_owned() }) as Hold)
        })
    }

    fn is_held<'a>(&'a self, path: &'a Path) -> Answer<'a, bool> {
        self.call("is held", path, move |state, _| Ok(state.held.contains_key(path)))
    }

    fn names<'a>(&'a self, path: &'a Path) -> Answer<'a, Vec<String>> {
        self.call("names", path, move |state, _| {
            let below = state.files.keys().filter_map(|file| file.strip_prefix(path).ok());
            let first = |file: &Path| file.iter().next().map(|name| name.to_string_lossy().into_owned());
            let mut names: Vec<String> = below.filter_map(first).collect();
            names.dedup();
            Ok(names)
        })
    }
}

/// Lets go of a file when it is dropped.
#[derive(Debug)]
struct Held {
    world: Arc<World>,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever drops it while the world is looked at is dead, and the world lets go of its files itself.
        if let Ok(mut state) = self.world.state.try_lock() {
            state.held.remove(&self.path);
        }
    }
}

/// Damages one file of the state.
pub(crate) fn damage(world: &World) {
    let dice = world.plan.dice;
    let mut state = world.state();
    let is_state = |path: &&PathBuf| path.starts_with("aws-flowlogs_state");
    let paths: Vec<PathBuf> = state.files.keys().filter(is_state).cloned().collect();
    if paths.is_empty() {
        return;
    }
    let path = dice.about("file", state.steps).one_of("damaged", &paths);
    let content = &state.files[&path];
    let damaged = match dice.about("how", state.steps).below("damaged", 3) {
        0 => content.slice(..content.len() / 2),
        1 => Bytes::new(),
        _ => content.iter().rev().copied().collect(),
    };
    state.history.push_str(&format!("damage {}\n", path.display()));
    state.files.insert(path, damaged);
}
