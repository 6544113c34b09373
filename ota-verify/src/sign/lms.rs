//! The signing half of LMS: keys grown from a seed, and a signer that uses no one-time key twice.
//!
//! **Hazard.** A leaf that signs two things lets anybody sign more in its name. Where the next leaf is written down is
//! therefore part of the key: [`LmsState`] makes it durable *before* the signature exists, so that a crash costs a leaf and
//! never uses one again. A backup, a snapshot or a copied folder brings old numbers back; whoever restores one has to move
//! the number past everything that was signed since.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use ota_manifest::Digest;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Signature, Signer, SignerError};
use crate::lms::hashes::{Chain, D_INTR, D_LEAF, D_MESG, D_PBLC, begin, hash};
use crate::lms::parameters::{HASH, Parameters};
use crate::lms::verify_message;
use crate::{LmsKey, PublicKey, Sha256, Tbs};

/// Where the number of the next unused leaf is kept: durable, and in one place only.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use ota_verify::sign::{LmsState, SignerError};
/// struct Forgetful(AtomicU32); // for tests alone: a restart starts at 0 and gives the key away
/// impl LmsState for Forgetful {
///     fn claim(&self) -> Result<u32, SignerError> {
///         Ok(self.0.fetch_add(1, Ordering::Relaxed))
///     }
/// }
/// let state = Forgetful(AtomicU32::new(0));
/// assert_eq!((state.claim(), state.claim()), (Ok(0), Ok(1)));
/// ```
pub trait LmsState: Send + Sync {
    /// Takes the next leaf, q: returns it once q + 1 is durable as the next one. Never returns a number twice, whatever
    /// happens between the calls. What was claimed and not used is lost, which is harmless.
    ///
    /// # Errors
    /// [`SignerError::Unavailable`] if the number cannot be made durable, [`SignerError::Refused`] if an operator has to
    /// act. Neither hands out a number.
    fn claim(&self) -> Result<u32, SignerError>;
}

/// Signs with an LMS key, each time with a leaf that its state has not handed out before.
///
/// A signature is checked before it leaves. What goes wrong after the claim costs a leaf.
///
/// ```
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # struct Forgetful(AtomicU32);
/// # impl ota_verify::sign::LmsState for Forgetful {
/// #     fn claim(&self) -> Result<u32, SignerError> { Ok(self.0.fetch_add(1, Ordering::Relaxed)) }
/// # }
/// use ota_manifest::{Alg, Digest, Kind, Role};
/// use ota_verify::sign::{LmsHeight, LmsSigner, LmsSigningKey, LmsWidth, Signer, SignerError};
/// use ota_verify::{Tbs, VerifyKey};
/// let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[7; 32]); // yours comes from a random generator
/// let signer = LmsSigner::new(key, Forgetful(AtomicU32::new(31)));
/// let tbs = Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &Digest::new([0; 32]));
/// let signature = signer.sign(&tbs)?;
/// assert!(signer.public_key().verify(&tbs, signature.as_bytes()).is_ok());
/// assert!(matches!(signer.sign(&tbs), Err(SignerError::Refused(_)))); // 32 signatures, and not one more
/// # Ok::<(), SignerError>(())
/// ```
#[derive(Debug)]
pub struct LmsSigner<S> {
    key: LmsSigningKey,
    state: S,
}

impl<S: LmsState> LmsSigner<S> {
    /// Joins a key and the one state that counts its leaves. Two states for one key give the key away.
    #[must_use]
    pub fn new(key: LmsSigningKey, state: S) -> Self {
        Self { key, state }
    }

    /// The state, to ask it how many leaves are left.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }
}

impl<S: LmsState> Signer for LmsSigner<S> {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        // The commit point: from here on the leaf is spent, whatever becomes of the signature.
        let q = self.state.claim()?;
        if q >= self.key.signatures() {
            return Err(SignerError::Refused(self.exhausted()));
        }
        let signature = self.key.sign(q, tbs.as_bytes());
        // A bit that flips in memory makes a signature that no device takes: better found out here than by the fleet.
        verify_message(&self.key.public, tbs.as_bytes(), &signature).map_err(|_| {
            SignerError::Refused("the LMS signature did not verify; check this machine's memory".into())
        })?;
        Signature::new(&signature)
    }
}

impl<S> LmsSigner<S> {
    fn exhausted(&self) -> String {
        format!(
            "all {} signatures of this LMS key are used; put another key into force",
            self.key.signatures()
        )
    }
}

/// Height of the tree: how many signatures a key can make, and how long it takes to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LmsHeight {
    /// 32 signatures; for tests.
    H5 = 5,
    /// 1,024 signatures.
    H10 = 6,
    /// 32,768 signatures.
    H15 = 7,
    /// 1,048,576 signatures.
    H20 = 8,
    /// 33,554,432 signatures.
    H25 = 9,
}

impl LmsHeight {
    const ALL: [(Self, &str); 5] =
        [(Self::H5, "H5"), (Self::H10, "H10"), (Self::H15, "H15"), (Self::H20, "H20"), (Self::H25, "H25")];

    /// How many signatures a key of this height can make.
    #[must_use]
    pub const fn signatures(self) -> u32 {
        1 << (5 * (self as u32 - 4))
    }
}

/// Bits of a digit. More make signatures shorter, and keys, signatures and verification slower: W8 takes 8 times as long
/// as W4. W1 and W2 are left out, because their signatures fit no manifest's envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LmsWidth {
    /// 4 bits. Recommended.
    W4 = 3,
    /// 8 bits.
    W8 = 4,
}

impl LmsWidth {
    const ALL: [(Self, &str); 2] = [(Self::W4, "W4"), (Self::W8, "W8")];
}

/// Text that names no height or no width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("LMS keys are of height H5, H10, H15, H20 or H25 and of width W4 or W8")]
pub struct NotAnLmsSet;

impl fmt::Display for LmsHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::ALL.iter().filter(|(value, _)| value == self).try_for_each(|(_, name)| f.write_str(name))
    }
}

impl FromStr for LmsHeight {
    type Err = NotAnLmsSet;

    fn from_str(text: &str) -> Result<Self, NotAnLmsSet> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(value, _)| *value).ok_or(NotAnLmsSet)
    }
}

impl fmt::Display for LmsWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::ALL.iter().filter(|(value, _)| value == self).try_for_each(|(_, name)| f.write_str(name))
    }
}

impl FromStr for LmsWidth {
    type Err = NotAnLmsSet;

    fn from_str(text: &str) -> Result<Self, NotAnLmsSet> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(value, _)| *value).ok_or(NotAnLmsSet)
    }
}

/// An LMS private key of one level, grown from a seed (RFC 8554, Appendix A). The seed is wiped when it is dropped.
///
/// Growing takes 2 to the height times 1,072 hashes with W4, 8,704 with W8, on one core; a signature takes little more than
/// its path. In memory are the nodes from the root down, at most 2 to the 16 of them: 64 KiB for H10, 2 MiB for H15 and
/// above. Above H15 the piece of the tree below them is grown again for each signature: 32 leaves for H20, 1,024 for H25.
///
/// Neither `Clone` nor able to sign by itself: the leaves have to be counted in one place, see [`LmsSigner`].
///
/// ```
/// use ota_verify::sign::{LmsHeight, LmsSigningKey, LmsWidth};
/// let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[7; 32]);
/// assert_eq!(key.signatures(), 32);
/// assert_eq!(key.public_key().to_string()[..24], *"000000010000000500000003");
/// ```
pub struct LmsSigningKey {
    leaves: Leaves,
    upper: Nodes,
    public: [u8; LmsKey::LEN],
}

/// The public key stands behind the number of levels, 1.
const LEVELS: [u8; 4] = [0, 0, 0, 1];
/// No signed public keys stand before the signature.
const SIGNED_KEYS: [u8; 4] = [0; 4];

impl LmsSigningKey {
    /// Grows the key of a seed from a random generator. Its identifier is derived from the seed and the parameters, so that
    /// one seed in two shapes makes two keys that have nothing in common.
    #[must_use]
    pub fn generate(height: LmsHeight, width: LmsWidth, seed: &[u8; HASH]) -> Self {
        let digest = Sha256::of(&[b"ota-lms-id/v1\0", &[height as u8, width as u8], seed]);
        let (id, _) = digest.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
        Self::with_identifier(height, width, seed, *id)
    }

    /// Grows the key of a seed and an identifier, I of RFC 8554: what other implementations keep of a private key.
    #[must_use]
    pub fn with_identifier(height: LmsHeight, width: LmsWidth, seed: &[u8; HASH], id: [u8; 16]) -> Self {
        Self::grow(Leaves { height, width, id, seed: Zeroizing::new(*seed), most: Leaves::MOST })
    }

    fn grow(leaves: Leaves) -> Self {
        let branches = 1_u32 << leaves.upper();
        let row = (0..branches).map(|branch| leaves.branch(branch).root).collect();
        let upper = Nodes::grow(&leaves.id, branches, row);
        let [lms, ots] = leaves.types();
        let fields = [&LEVELS[..], &lms, &ots, &leaves.id, upper.root.as_bytes()];
        let mut public = [0; LmsKey::LEN];
        public.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        Self { leaves, upper, public }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::lms(self.public)
    }

    /// How many signatures the key can make in its life.
    #[must_use]
    pub fn signatures(&self) -> u32 {
        self.leaves.height.signatures()
    }

    /// The HSS signature of leaf `q` (sections 4.5, 5.4.1 and 6.2). Whoever calls this twice with one `q` gives the key away.
    fn sign(&self, q: u32, message: &[u8]) -> Vec<u8> {
        let leaves = &self.leaves;
        let [lms, ots] = leaves.types();
        let branch = leaves.branch(q >> leaves.lower());
        let below = branch.path(q & ((1 << leaves.lower()) - 1));
        let path: Vec<u8> =
            below.chain(self.upper.path(q >> leaves.lower())).flat_map(|node| *node.as_bytes()).collect();
        [&SIGNED_KEYS[..], &q.to_be_bytes(), &ots, &leaves.sign(q, message), &lms, &path].concat()
    }
}

impl fmt::Debug for LmsSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LmsSigningKey").field("key_id", &self.public_key().key_id()).finish_non_exhaustive()
    }
}

/// The one-time keys, each computed from the seed when it is wanted.
struct Leaves {
    height: LmsHeight,
    width: LmsWidth,
    id: [u8; 16],
    seed: Zeroizing<[u8; HASH]>,
    /// Most rows of nodes to keep, without the root.
    most: u32,
}

impl Leaves {
    /// Rows that take 2 MiB.
    const MOST: u32 = 15;
    /// A step that no chain gets to: 254 is the last one of W8 (Appendix A).
    const SECRET: u32 = 255;
    /// A chain that no set has, the longest has 265: its secret is the randomizer.
    const RANDOMIZER: u32 = 0xFFFD;

    /// The type codes of tree and one-time key.
    fn types(&self) -> [[u8; 4]; 2] {
        [self.height as u32, self.width as u32].map(u32::to_be_bytes)
    }

    fn set(&self) -> Parameters {
        Parameters::signing(self.height, self.width)
    }

    /// Rows of nodes that are kept.
    fn upper(&self) -> u32 {
        self.set().height().min(self.most)
    }

    /// Rows of nodes below those.
    fn lower(&self) -> u32 {
        self.set().height() - self.upper()
    }

    /// The nodes below the kept ones: those of one branch.
    fn branch(&self, branch: u32) -> Nodes {
        let first = branch << self.lower();
        let row = (first..first + (1 << self.lower())).map(|q| self.leaf(q)).collect();
        Nodes::grow(&self.id, first | 1 << self.set().height(), row)
    }

    /// The leaf over one-time key `q` (section 5.3).
    fn leaf(&self, q: u32) -> Digest {
        let set = self.set();
        let mut chain = Chain::new(&self.id, q);
        let mut key = begin(&self.id, q, D_PBLC);
        for i in 0..set.chains() {
            let secret = self.secret(&mut chain, i);
            key.update(chain.walk(i, 0, set.longest(), &secret));
        }
        hash(&self.id, q | 1 << set.height(), D_LEAF, key.finish().as_bytes(), &[])
    }

    /// C and y of one-time key `q` over `message` (section 4.5).
    fn sign(&self, q: u32, message: &[u8]) -> Vec<u8> {
        let set = self.set();
        let mut chain = Chain::new(&self.id, q);
        // Nobody can know it before the signature is out, which is all that it has to be; and it takes no generator.
        let randomizer = self.secret(&mut chain, Self::RANDOMIZER);
        let digits = set.digits(hash(&self.id, q, D_MESG, &*randomizer, message).as_bytes());
        let mut signature = randomizer.to_vec();
        for i in 0..set.chains() {
            let secret = self.secret(&mut chain, i);
            signature.extend_from_slice(chain.walk(i, 0, digits.at(i), &secret));
        }
        signature
    }

    /// The secret that chain `i` begins with.
    fn secret(&self, chain: &mut Chain, i: u32) -> Zeroizing<[u8; HASH]> {
        let mut secret = Zeroizing::new([0; HASH]);
        let bytes = chain.walk(i, Self::SECRET, Self::SECRET + 1, &self.seed);
        secret.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        secret
    }
}

/// The nodes above a row, and the row: the lowest row first, without the root.
struct Nodes {
    rows: Vec<Vec<Digest>>,
    root: Digest,
}

impl Nodes {
    /// Grows what is above `row`, 2 to some power of nodes; `first` is the number of its first one (section 5.3).
    fn grow(id: &[u8; 16], mut first: u32, mut row: Vec<Digest>) -> Self {
        let mut rows = Vec::new();
        loop {
            if let [root] = row.as_slice() {
                return Self { root: *root, rows };
            }
            first >>= 1;
            let (pairs, _) = row.as_chunks();
            let node = |(number, [left, right]): (u32, &[Digest; 2])| {
                hash(id, number, D_INTR, left.as_bytes(), right.as_bytes())
            };
            let above = (first..).zip(pairs).map(node).collect();
            rows.push(row);
            row = above;
        }
    }

    /// The siblings on the way from node `index` of the lowest row to the root.
    fn path(&self, index: u32) -> impl Iterator<Item = &Digest> {
        (0_u32..).zip(&self.rows).filter_map(move |(up, row)| row.get((index >> up ^ 1) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(most: u32) -> Leaves {
        let seed = Zeroizing::new([7; HASH]);
        Leaves { height: LmsHeight::H5, width: LmsWidth::W4, id: [9; 16], seed, most }
    }

    #[test]
    fn how_much_of_the_tree_is_kept_changes_no_signature() {
        let whole = LmsSigningKey::grow(leaves(Leaves::MOST));
        for most in 0..=5 {
            let key = LmsSigningKey::grow(leaves(most));
            assert_eq!(key.upper.rows.iter().map(Vec::len).sum::<usize>(), (2 << most) - 2);
            assert_eq!(key.public, whole.public);
            for q in 0..key.signatures() {
                let signature = key.sign(q, b"message");
                assert_eq!(signature, whole.sign(q, b"message"));
                assert_eq!(verify_message(&whole.public, b"message", &signature), Ok(()));
            }
        }
    }

    /// The HSS key and signature of trees that each sign the key of the next (section 6.2). Ours have one.
    fn stacked(trees: &[LmsSigningKey], message: &[u8]) -> ([u8; LmsKey::LEN], Vec<u8>) {
        let levels = u32::try_from(trees.len()).unwrap();
        let key = [&levels.to_be_bytes(), &trees[0].public[4..]].concat();
        let mut signature = (levels - 1).to_be_bytes().to_vec();
        for pair in trees.windows(2) {
            let below = &pair[1].public[4..];
            signature.extend_from_slice(&pair[0].sign(31, below)[4..]);
            signature.extend_from_slice(below);
        }
        signature.extend_from_slice(&trees[trees.len() - 1].sign(1, message)[4..]);
        (key.try_into().unwrap(), signature)
    }

    #[test]
    fn one_to_eight_levels_are_walked_and_nine_are_refused() {
        let tree = |seed| LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[seed; HASH]);
        let trees: Vec<_> = (1..=9).map(tree).collect();
        for levels in 1..=8 {
            let (key, signature) = stacked(&trees[..levels], b"message");
            assert_eq!(verify_message(&key, b"message", &signature), Ok(()), "{levels} levels");
            // One bit in each of the trees' parts; the first 4 bytes count the levels.
            for at in (4 + 20..signature.len()).step_by(2348 + 56) {
                let mut flipped = signature.clone();
                flipped[at] ^= 1;
                assert!(verify_message(&key, b"message", &flipped).is_err(), "{levels} levels, byte {at}");
            }
            let (cut, longer) = (&signature[..signature.len() - 1], [&signature[..], &[0]].concat());
            assert!(verify_message(&key, b"message", cut).is_err());
            assert!(verify_message(&key, b"message", &longer).is_err());
        }
        let (key, signature) = stacked(&trees, b"message");
        assert!(verify_message(&key, b"message", &signature).is_err());
    }

    #[test]
    fn no_secret_and_no_randomizer_is_used_twice() {
        let leaves = leaves(5);
        let mut secrets: Vec<_> = (0..4)
            .flat_map(|q| (0..67).chain([Leaves::RANDOMIZER]).map(move |i| (q, i)))
            .map(|(q, i)| *leaves.secret(&mut Chain::new(&leaves.id, q), i))
            .collect();
        secrets.sort_unstable();
        secrets.dedup();
        assert_eq!(secrets.len(), 4 * 68);
    }
}
