//! The marker: a small file inside a tree that says that the tree is ours to delete, and on what condition.

use std::hash::{BuildHasher, Hasher};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::process::boot_id;
use crate::publish::Durability;
use crate::store::{EntryKind, Key, Store, read_to_vec};

/// The name of the marker inside a tree. It begins with a dot, so that it is no name of a Zarr node.
pub(crate) const MARKER_NAME: &str = ".rechunk";

/// Begins the names of values that whoever builds a tree keeps directly in it, and that go before it gets its final name (PUB-18).
const OWN_NAMES: &str = ".rechunk.";

/// The name under which the document of the root of a staged tree waits for the seal (PUB-17).
pub(crate) const DOCUMENT_NAME: &str = ".rechunk.document";

const FORMAT: &str = "rezarr stage";
const VERSION: u32 = 2;
const LIMIT_BYTES: u64 = 1 << 16;

/// What a marked tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// A tree being built, or one that has just been published.
    New,
    /// A tree that a new one is taking the place of.
    Old,
}

/// The content of a marker (rule PUB-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    format: String,
    version: u32,
    /// The last name of the target key.
    pub(crate) target: String,
    pub(crate) role: Role,
    /// The same in the new tree and in the old one that it replaces, and in no others.
    pub(crate) id: String,
    /// Whether the old tree is to be kept as a backup.
    pub(crate) keep: bool,
    /// Whether all that the seal vouches for was synced before it.
    synced: bool,
    /// The boot in which the marker was written; empty where the system does not say.
    boot: String,
    /// The fingerprint of the tree that this one is made to replace, from before it was begun; none where there was nothing (PUB-19).
    pub(crate) replaces: Option<String>,
    /// The process that wrote this, for whoever looks at the file.
    pid: u32,
}

/// What stands where a marker would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No marker.
    Nothing,
    /// A file of no bytes or of zeros: a marker whose bytes a power cut has kept from the disk.
    Blank,
    /// A marker for this target.
    Marker(Marker),
    /// Anything else, and what is wrong with it.
    Foreign(String),
}

impl Marker {
    /// The marker of a tree to be built for `target`, with an id of its own.
    pub(crate) fn new(target: &Key, keep: bool, durability: Durability, replaces: Option<String>) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            target: target.name().into(),
            role: Role::New,
            id: new_id(),
            keep,
            synced: durability == Durability::Sync,
            boot: boot_id().unwrap_or_default(),
            replaces,
            pid: std::process::id(),
        }
    }

    /// The marker of the tree that was begun as `self`, for whoever goes on with it.
    pub(crate) fn continued_as(&self, new: Self) -> Self {
        Self { id: self.id.clone(), ..new }
    }

    /// Whether what was written before the marker, and after it, is there as far as it was written: it was synced, or the machine has run ever
    /// since (PUB-20).
    pub(crate) fn is_trusted(&self) -> bool {
        self.synced || boot_id().is_some_and(|boot| boot == self.boot)
    }

    /// Whether it was left to the operating system when the tree reaches the disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        !self.synced
    }

    /// The marker of the tree that the one marked with `self` replaces.
    pub(crate) fn for_old(&self) -> Self {
        Self { role: Role::Old, ..self.clone() }
    }

    /// Writes the marker into the tree `prefix`, where it is durable before anything else happens there, unless nothing is.
    pub(crate) fn write(&self, store: &dyn Store, prefix: &Key, durability: Durability) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| Error::invalid(format!("a marker cannot be written: {error}")))?;
        let key = prefix.join(MARKER_NAME)?;
        match durability {
            Durability::Sync => store.set_durable(&key, &bytes),
            Durability::NoSync => store.set(&key, &bytes),
        }
    }

    /// What stands where the marker of the tree `prefix` for `target` would be. Never an error because of what the bytes are.
    pub(crate) fn find(store: &dyn Store, prefix: &Key, target: &Key) -> Result<Found> {
        let key = prefix.join(MARKER_NAME)?;
        match store.kind(&key)? {
            None => return Ok(Found::Nothing),
            Some(EntryKind::Value) => {}
            Some(_) => return Ok(Found::Foreign(format!("{MARKER_NAME} in it is no file"))),
        }
        let bytes = match read_to_vec(store, &key, LIMIT_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Found::Nothing),
            Err(Error::Corrupt { what, .. }) => return Ok(Found::Foreign(format!("{MARKER_NAME} in it is no marker: {what}"))),
            Err(error) => return Err(error),
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(Found::Blank);
        }
        Ok(match serde_json::from_slice::<Self>(&bytes) {
            Err(error) => Found::Foreign(format!("{MARKER_NAME} in it is no marker: {error}")),
            Ok(marker) if marker.format != FORMAT => Found::Foreign(format!("{MARKER_NAME} in it has the format {:?}", marker.format)),
            Ok(marker) if marker.version != VERSION => {
                Found::Foreign(format!("{MARKER_NAME} in it has version {}, and this program knows {VERSION}", marker.version))
            }
            Ok(marker) if marker.target != target.name() => Found::Foreign(format!("it was made for {:?}", marker.target)),
            Ok(marker) => Found::Marker(marker),
        })
    }
}

/// An id that no other stage has had, as far as chance goes: the standard library seeds its hashers from the system.
fn new_id() -> String {
    let part = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", part(), part())
}

/// Whether `name` is that of the marker, or of a file that was to become it.
pub(crate) fn is_marker_name(name: &str) -> bool {
    name == MARKER_NAME || name.strip_prefix('.').is_some_and(|rest| rest.starts_with(MARKER_NAME) && rest.ends_with(".tmp"))
}

/// Whether `name`, directly in a tree, is no part of it: the marker, what was to become it, or what the builder of the tree keeps there.
pub(crate) fn is_own_name(name: &str) -> bool {
    is_marker_name(name) || name.starts_with(OWN_NAMES)
}
