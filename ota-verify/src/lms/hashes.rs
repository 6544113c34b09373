//! The hashes of RFC 8554. Each begins with the tree and its place in it, and says by a tag what it is for.

use ota_manifest::Digest;

use super::parameters::HASH;
use crate::Sha256;

/// `D_PBLC`, section 4.3: a one-time public key.
pub(crate) const D_PBLC: u16 = 0x8080;
/// `D_MESG`, section 4.5: a message.
pub(crate) const D_MESG: u16 = 0x8181;
/// `D_LEAF`, section 5.3: a leaf.
pub(crate) const D_LEAF: u16 = 0x8282;
/// `D_INTR`, section 5.3: the node above two others.
pub(crate) const D_INTR: u16 = 0x8383;

/// Begins H(I, number, tag, ...).
pub(crate) fn begin(id: &[u8; 16], number: u32, tag: u16) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(id);
    hash.update(&number.to_be_bytes());
    hash.update(&tag.to_be_bytes());
    hash
}

/// H(I, number, tag, left, right): a message, a leaf or a node.
pub(crate) fn hash(id: &[u8; 16], number: u32, tag: u16, left: &[u8], right: &[u8]) -> Digest {
    let mut hash = begin(id, number, tag);
    hash.update(left);
    hash.update(right);
    hash.finish()
}

/// I, q, i, j and a value: what one step of a hash chain hashes (section 4.3).
///
/// 55 bytes, with the padding exactly one block of SHA-256: a longer input would double the work of verification. Most
/// of that work is here, so the bytes stay in place from step to step.
pub(crate) struct Chain([u8; 23 + HASH]);

impl Chain {
    /// The chains of the one-time key `q` of tree `id`.
    pub(crate) fn new(id: &[u8; 16], q: u32) -> Self {
        let mut chain = Self([0; 23 + HASH]);
        chain.put(0, id);
        chain.put(16, &q.to_be_bytes());
        chain
    }

    /// Takes `value` of chain `i` from step `from` to step `to`, at most 256.
    pub(crate) fn walk(&mut self, i: u32, from: u32, to: u32, value: &[u8; HASH]) -> &[u8] {
        let [.., high, low] = i.to_be_bytes();
        self.put(20, &[high, low]);
        self.put(23, value);
        for j in from..to {
            let [.., step] = j.to_be_bytes();
            self.put(22, &[step]);
            let digest = Sha256::of(&[&self.0]);
            self.put(23, digest.as_bytes());
        }
        self.0.get(23..).unwrap_or(&[])
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    }
}
