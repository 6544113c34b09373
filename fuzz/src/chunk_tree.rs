//! Arbitrary images and leaf lists: a tree in fixed memory has the root of RFC 6962, and one other byte another one.
//!
//! ```text
//! input:   chunk size u8 (2^8 to 2^16) | flipped bit u32, little endian | image
//! ```

use ota_manifest::{ChunkSize, Digest};
use ota_verify::sign::describe_image;
use ota_verify::{ChunkTree, LEAF_LEN, leaf_hash};
use sha2::{Digest as _, Sha256};

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "chunk_tree", run, seeds };

fn run(input: &[u8]) {
    let [log2, b0, b1, b2, b3, image @ ..] = input else { return };
    let chunk = ChunkSize::from_log2(8 + log2 % 9).expect("8 to 16");
    let Ok(described) = describe_image(image, 0, chunk) else {
        return assert!(image.is_empty());
    };
    let leaves = leaves(image, 1 << chunk.log2());
    assert_eq!(described.leaves, leaves.concat());
    let size = described.image.size;
    assert_eq!(described.image.chunk_root.as_bytes(), &root(&leaves, size));
    assert_eq!(streamed(&described.leaves, size), described.image.chunk_root);

    // A device holds what it gets against the leaf, and the leaf list against the root.
    let bit = u32::from_le_bytes([*b0, *b1, *b2, *b3]) as usize;
    let mut other = image.to_vec();
    other[bit / 8 % image.len()] ^= 1 << (bit % 8);
    let chunks = (0u32..).zip(other.chunks(1 << chunk.log2())).zip(&leaves);
    let wrong = chunks.filter(|((index, bytes), leaf)| leaf_hash(*index, bytes).as_bytes() != *leaf);
    assert_eq!(wrong.count(), 1, "the chunk with the flipped bit, and no other");
    let mut forged = described.leaves.clone();
    let at = bit / 8 % forged.len();
    forged[at] ^= 1 << (bit % 8);
    assert_ne!(streamed(&forged, size), described.image.chunk_root);
    assert_ne!(streamed(&forged[LEAF_LEN..], size), described.image.chunk_root, "one leaf less");
    assert_ne!(streamed(&described.leaves, size ^ 1), described.image.chunk_root, "another size");
}

fn streamed(leaves: &[u8], size: u32) -> Digest {
    let mut tree = ChunkTree::new();
    for leaf in leaves.chunks_exact(LEAF_LEN) {
        tree.push(Digest::new(leaf.try_into().expect("32 bytes")));
    }
    tree.root(size)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

fn leaves(image: &[u8], chunk: usize) -> Vec<[u8; 32]> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("64 KiB at most").to_le_bytes();
    let leaf = |(index, bytes): (u32, &[u8])| sha256(&[&[0], &index.to_le_bytes(), &length(bytes), bytes]);
    (0u32..).zip(image.chunks(chunk)).map(leaf).collect()
}

fn root(leaves: &[[u8; 32]], size: u32) -> [u8; 32] {
    sha256(&[&[2], &size.to_le_bytes(), &top(leaves)])
}

/// RFC 6962, 2.1, as it is written there.
fn top(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    sha256(&[&[1], &top(left), &top(right)])
}

fn seeds() -> Vec<Vec<u8>> {
    let image = |log2: u8, len: usize| {
        let bytes = (0..len).map(|at| ((at * 31) >> 3) as u8);
        [log2, 5, 1, 0, 0].into_iter().chain(bytes).collect()
    };
    vec![image(0, 1), image(0, 256), image(0, 257), image(0, 1000), image(1, 4000), image(4, 4000)]
}
