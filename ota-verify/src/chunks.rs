//! The chunk tree: each chunk of an image can be checked by itself, before it is written.
//!
//! ```text
//!   leaf i = SHA-256(0x00 | i u32 LE | length u32 LE | chunk)
//!   node   = SHA-256(0x01 | left | right)            (shape of RFC 6962, 2.1)
//!   root   = SHA-256(0x02 | image size u32 LE | top node)
//! ```
//! The leaf list travels first, as object 0; it is believed when its root is the manifest's.

use ota_manifest::Digest;

use crate::Sha256;

/// Bytes of one leaf in the leaf list.
pub const LEAF_LEN: usize = Digest::LEN;

/// Levels enough for 2^24 leaves: 4 GiB in the smallest chunks.
const LEVELS: usize = 25;

/// The leaf of chunk number `index`.
#[must_use]
pub fn leaf_hash(index: u32, chunk: &[u8]) -> Digest {
    // A chunk is at most 64 KiB (`ChunkSize`); a longer slice saturates and then matches no leaf.
    let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
    Sha256::of(&[&[0], &index.to_le_bytes(), &len.to_le_bytes(), chunk])
}

/// Computes a chunk root from leaves in order, in fixed memory.
///
/// ```
/// use ota_verify::{ChunkTree, leaf_hash};
/// let mut tree = ChunkTree::new();
/// tree.push(leaf_hash(0, b"first"));
/// tree.push(leaf_hash(1, b"last"));
/// let root = tree.root(9);
///
/// let mut swapped = ChunkTree::new();
/// swapped.push(leaf_hash(1, b"last"));
/// swapped.push(leaf_hash(0, b"first"));
/// assert_ne!(swapped.root(9), root);
/// ```
#[derive(Debug, Clone)]
pub struct ChunkTree {
    /// One complete subtree for each bit set in `count`; the lowest bit is the smallest and last subtree.
    subtrees: [Digest; LEVELS],
    count: u32,
}

impl ChunkTree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { subtrees: [Digest::new([0; 32]); LEVELS], count: 0 }
    }

    /// Leaves so far.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        let mut bits = self.count;
        for level in &mut self.subtrees {
            if bits & 1 == 0 {
                *level = node;
                break;
            }
            node = join(level, &node);
            bits >>= 1;
        }
        self.count = self.count.saturating_add(1);
    }

    /// The root for an image of `size` bytes.
    #[must_use]
    pub fn root(&self, size: u32) -> Digest {
        let mut top = None;
        for (level, subtree) in self.subtrees.iter().enumerate() {
            if u64::from(self.count) >> level & 1 == 1 {
                top = Some(top.map_or(*subtree, |right| join(subtree, &right)));
            }
        }
        let top = top.unwrap_or(Digest::new([0; 32]));
        Sha256::of(&[&[2], &size.to_le_bytes(), top.as_bytes()])
    }
}

impl Default for ChunkTree {
    fn default() -> Self {
        Self::new()
    }
}

fn join(left: &Digest, right: &Digest) -> Digest {
    Sha256::of(&[&[1], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// RFC 6962, 2.1, as it is written there.
    fn reference(leaves: &[Digest]) -> Digest {
        if let [leaf] = leaves {
            return *leaf;
        }
        let split = leaves.len().next_power_of_two() / 2;
        join(&reference(&leaves[..split]), &reference(&leaves[split..]))
    }

    #[test]
    fn root_has_the_shape_of_rfc_6962_for_every_size() {
        for count in 1..130u32 {
            let leaves: Vec<_> = (0..count).map(|i| leaf_hash(i, &i.to_be_bytes())).collect();
            let mut tree = ChunkTree::new();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            let expected = Sha256::of(&[&[2], &9u32.to_le_bytes(), reference(&leaves).as_bytes()]);
            assert_eq!(tree.root(9), expected, "{count} leaves");
        }
    }

    #[test]
    fn a_node_is_not_a_leaf_and_size_is_bound() {
        let (a, b) = (leaf_hash(0, b"a"), leaf_hash(1, b"b"));
        let mut pair = ChunkTree::new();
        pair.push(a);
        pair.push(b);
        let mut one = ChunkTree::new();
        one.push(join(&a, &b));
        // The root of a node equals the root over its two leaves; only the binding of size (and with it of the number
        // of leaves) keeps a list of nodes from standing in for a list of leaves.
        assert_eq!(one.root(2), pair.root(2));
        assert_ne!(pair.root(2), pair.root(3));
    }
}
