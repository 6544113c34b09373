//! One tree of one-time keys: reading its public key and checking what it signed (RFC 8554, sections 4 and 5).

use ota_manifest::Digest;

use super::hashes::{Chain, D_INTR, D_LEAF, D_MESG, D_PBLC, begin, hash};
use super::parameters::{HASH, Parameters};
use crate::digests_equal;

/// The public key of a tree: LMS type, LM-OTS type, I, root (section 5.3).
pub(crate) struct Tree<'a> {
    parameters: Parameters,
    lms: &'a [u8; 4],
    ots: &'a [u8; 4],
    id: &'a [u8; 16],
    root: &'a [u8; HASH],
}

impl<'a> Tree<'a> {
    /// Length of the public key in bytes.
    pub(crate) const LEN: usize = 24 + HASH;

    /// Reads exactly one public key.
    pub(crate) fn read(key: &'a [u8]) -> Option<Self> {
        let (lms, rest) = key.split_first_chunk()?;
        let (ots, rest) = rest.split_first_chunk()?;
        let (id, root) = rest.split_first_chunk()?;
        let parameters = Parameters::from_types(u32::from_be_bytes(*lms), u32::from_be_bytes(*ots))?;
        Some(Self { parameters, lms, ots, id, root: root.try_into().ok()? })
    }

    /// Length of its signatures in bytes.
    pub(crate) const fn signature_len(&self) -> usize {
        self.parameters.signature_len()
    }

    /// Checks a signature of [`signature_len`](Self::signature_len) bytes over `message` (algorithm 6); `None` refuses.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let (q, rest) = signature.split_first_chunk()?;
        let (ots, rest) = rest.split_first_chunk::<4>()?;
        let (randomizer, rest) = rest.split_first_chunk::<HASH>()?;
        let (chains, rest) = rest.split_at_checked(HASH * self.parameters.chains() as usize)?;
        let (lms, path) = rest.split_first_chunk::<4>()?;
        let q = u32::from_be_bytes(*q);
        // The key alone says which parameters count, or a forger would choose the weakest.
        if ots != self.ots || lms != self.lms || q >> self.parameters.height() != 0 {
            return None;
        }
        let message = hash(self.id, q, D_MESG, randomizer, message);
        let one_time_key = self.one_time_key(q, &message, chains);
        digests_equal(&self.root(q, &one_time_key, path), &Digest::new(*self.root)).then_some(())
    }

    /// The one-time public key that would have made this signature (algorithm 4b). The ends of the chains go straight
    /// into the hash: kept, they would take up to 8 KiB.
    fn one_time_key(&self, q: u32, message: &Digest, chains: &[u8]) -> Digest {
        let digits = self.parameters.digits(message.as_bytes());
        let mut chain = Chain::new(self.id, q);
        let mut key = begin(self.id, q, D_PBLC);
        let (values, _) = chains.as_chunks();
        for (i, value) in (0..).zip(values) {
            key.update(chain.walk(i, digits.at(i), self.parameters.longest(), value));
        }
        key.finish()
    }

    /// The root above leaf `q` (algorithm 6a, steps 4 and 5).
    fn root(&self, q: u32, one_time_key: &Digest, path: &[u8]) -> Digest {
        let mut number = q | 1 << self.parameters.height();
        let mut node = hash(self.id, number, D_LEAF, one_time_key.as_bytes(), &[]);
        let (path, _) = path.as_chunks::<HASH>();
        for sibling in path {
            let own = node.as_bytes();
            let (left, right) = if number & 1 == 0 { (own, sibling) } else { (sibling, own) };
            number >>= 1;
            node = hash(self.id, number, D_INTR, left, right);
        }
        node
    }
}
