//! Copying an event's files from the trigger's storage to that of the run.

use std::io;
use std::path::{Component, Path};

use crate::s3::Control;

/// Copies the files of `folder`, relative to `storage`, into `target`, which it creates.
///
/// # Errors
/// `folder` leads out of the storage or is not there, or a copy fails.
pub(super) fn copy_folder(storage: &Path, folder: &Path, target: &Path) -> io::Result<()> {
    if !folder.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "leads out of the storage"));
    }
    copy(&storage.join(folder), target)
}

/// Copies the objects below `prefix` into `target`, which it creates.
///
/// # Errors
/// There are none, or a copy fails.
pub(super) fn copy_from_bucket(
    control: &Control,
    bucket: &str,
    prefix: &str,
    target: &Path,
) -> io::Result<()> {
    std::fs::create_dir_all(target)?;
    let keys: Vec<String> = control.keys(bucket).into_iter().filter(|key| key.starts_with(prefix)).collect();
    for key in &keys {
        let object = control.get(bucket, key).ok_or(io::ErrorKind::NotFound)?;
        std::fs::write(target.join(&key[prefix.len()..]), &object.body)?;
    }
    if keys.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
}

fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let entries = std::fs::read_dir(source)?;
    std::fs::create_dir_all(target)?;
    for entry in entries {
        let entry = entry?;
        let target = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
