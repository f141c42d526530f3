//! The fingerprint of a tree: whether anything in it has been set, changed, added or removed since, found out without reading values.

use crate::error::{Error, Result};
use crate::publish::is_own_name;
use crate::store::{EntryKind, Key, Stamp, Store};

/// How deep prefixes may be nested; each level is one open directory.
const MAX_DEPTH: usize = 192;

/// What tells a tree from what it was: the names of all its values, and the [`Stamp`] of each (PUB-19). The marker, and what else a stage has
/// of its own directly in the tree, is left out.
///
/// # Errors
/// Those of the store; [`Error::Unsupported`] for prefixes nested too deep.
pub(crate) fn fingerprint(store: &dyn Store, tree: &Key) -> Result<String> {
    let mut sum = Sum::default();
    walk(store, tree, "", 0, &mut sum)?;
    Ok(format!("{:016x}{:016x}{:016x}", sum.count, sum.first, sum.second))
}

/// A sum over values, in whatever order they are listed.
#[derive(Default)]
struct Sum {
    count: u64,
    first: u64,
    second: u64,
}

impl Sum {
    fn add(&mut self, path: &str, stamp: Option<Stamp>) {
        let mut hash = [0xcbf2_9ce4_8422_2325, 0x9ae1_6a3b_2f90_404f];
        mix(&mut hash, path.as_bytes());
        mix(&mut hash, &[0]);
        if let Some(Stamp { file, size, modified_ns }) = stamp {
            mix(&mut hash, &file.to_le_bytes());
            mix(&mut hash, &size.to_le_bytes());
            mix(&mut hash, &modified_ns.to_le_bytes());
        }
        self.count = self.count.wrapping_add(1);
        self.first = self.first.wrapping_add(scrambled(hash[0]));
        self.second = self.second.wrapping_add(scrambled(hash[1]));
    }
}

/// FNV-1a, twice with different beginnings.
fn mix(hash: &mut [u64; 2], bytes: &[u8]) {
    for byte in bytes {
        for hash in &mut *hash {
            *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The end of MurmurHash3, without which sums of similar numbers would be alike.
fn scrambled(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

fn walk(store: &dyn Store, prefix: &Key, path: &str, depth: usize, sum: &mut Sum) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::unsupported(format!("prefixes nested more than {MAX_DEPTH} deep")).at(&store.locate(prefix)));
    }
    store.list(prefix, &mut |entry| {
        if depth == 0 && is_own_name(&entry.name) {
            return Ok(());
        }
        let below = if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
        match entry.kind {
            EntryKind::Prefix => walk(store, &prefix.join(&entry.name)?, &below, depth + 1, sum)?,
            // It may have gone since it was listed, and its being missing is a difference then.
            EntryKind::Value => sum.add(&below, store.stamp(&prefix.join(&entry.name)?)?),
            EntryKind::Other => sum.add(&below, None),
        }
        Ok(())
    })
}
