//! The trust document: which keys a device believes from now on, and how many of them it takes.
//!
//! ```text
//! version | epoch | min order | thresholds: root, release, approval, freshness | hybrid | n | n x {role, algorithm, length, key}
//!         | m | m x {extension}
//! ```
//! It travels as the payload of an envelope of [`Kind::Trust`](crate::Kind::Trust). Whether a device may act on one is
//! decided by `ota-verify`, never here.

use crate::codec::Reader;
use crate::manifest::{Entries, Entry};
use crate::{Alg, DecodeError, Extension, Field, MAX_EXTENSIONS, Order, Role, Roles};

/// Largest envelope of a trust document with classical signatures, in bytes. A device keeps two copies of it.
pub const MAX_TRUST_ENVELOPE: usize = 2048;
/// Largest envelope of a trust document, in bytes, if a post-quantum signature is among the others.
pub const MAX_TRUST_ENVELOPE_POST_QUANTUM: usize = 8192;
/// Most keys in a trust document.
pub const MAX_TRUST_KEYS: u8 = 8;
/// Longest public key in a trust document, bytes.
pub const MAX_PUBLIC_KEY: u8 = 65;

/// Trust document format 1, borrowed from its canonical encoding.
///
/// Deliberately without an end of validity: a bootloader has no clock it may believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDocument<'a> {
    /// Its place in the chain of documents, from 1; each follows the one before without a gap.
    pub version: u32,
    /// Manifests of a higher epoch are refused, however well they are signed.
    ///
    /// Only roots open an epoch. So whoever stole a release key and signed the highest sequence there is, has not reached
    /// the next epoch: the fast-forward attack (TUF 1.5.2) is undone by a document that opens it.
    pub epoch: u16,
    /// Manifests of a lower order are refused, however well they are signed. Of an epoch that is open.
    pub min_order: Order,
    /// How many keys must sign.
    pub thresholds: Thresholds,
    /// Roles in which a classical and a post-quantum signature must be among those that count.
    pub hybrid: Roles,
    /// The keys, in ascending order of algorithm and bytes (of LMS without the number of levels); each is listed once, so it
    /// serves one role.
    pub keys: Entries<'a, DocumentKey<'a>>,
    /// Fields that came after format 1, in ascending order of their number.
    pub extensions: Entries<'a, Extension<'a>>,
}

impl<'a> TrustDocument<'a> {
    /// Reads a trust document nobody has vouched for: for tools that show one. Devices get theirs from `ota-verify`.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one canonical encoding.
    pub fn decode_unauthenticated(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let document = Self {
            version: r.u32(),
            epoch: r.u16(),
            min_order: Order { epoch: r.u16(), sequence: r.u32() },
            thresholds: Thresholds { root: r.u8(), release: r.u8(), approval: r.u8(), freshness: r.u8() },
            hybrid: roles(r),
            keys: Entries::read(r, MAX_TRUST_KEYS),
            extensions: Entries::read(r, MAX_EXTENSIONS),
        };
        document.check_ranges(r);
        reader.finish().map(|()| document)
    }

    fn check_ranges(&self, r: &mut Reader<'_>) {
        r.require(self.version > 0, DecodeError::OutOfRange(Field::Version));
        // Else not one manifest could be both.
        r.require(self.min_order.epoch <= self.epoch, DecodeError::OutOfRange(Field::Epoch));
        r.require(self.extensions.are_ascending(), DecodeError::ExtensionOrder);
        // One rule for three evils: two orders of one list, a key listed twice to be counted twice, a key in two roles.
        let places = self.keys.iter().map(|key| place(key.alg, key.bytes));
        r.require(places.is_sorted_by(|before, after| before < after), DecodeError::KeyOrder);
        for role in Role::ALL {
            let [classical, post_quantum] = self.keys_of(role);
            let (keys, needed) = (classical + post_quantum, self.thresholds.of(role));
            // Without a key nobody may sign, and that is written as 0.
            let may_be_nobody = matches!(role, Role::Approval | Role::Freshness);
            let lowest = u8::from(keys > 0 || !may_be_nobody);
            r.require(lowest <= needed && needed <= keys, DecodeError::Threshold);
            let can_be_hybrid = needed > 1 && classical > 0 && post_quantum > 0;
            r.require(!self.hybrid.contains(role) || can_be_hybrid, DecodeError::OutOfRange(Field::Hybrid));
        }
    }

    /// Keys of a role, classical and post-quantum.
    fn keys_of(&self, role: Role) -> [u8; 2] {
        self.keys.iter().filter(|key| key.role == role).fold([0; 2], |[classical, post_quantum], key| {
            let is_post_quantum = u8::from(key.alg.is_post_quantum());
            [classical + 1 - is_post_quantum, post_quantum + is_post_quantum]
        })
    }
}

/// How many distinct keys must sign in each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Thresholds {
    /// For the next trust document; at least 1.
    pub root: u8,
    /// For a manifest; at least 1.
    pub release: u8,
    /// For an operator's consent; 0 if the role has no keys.
    pub approval: u8,
    /// For a freshness reply; 0 if the role has no keys.
    pub freshness: u8,
}

impl Thresholds {
    /// One key of each role is enough.
    pub const ONE: Self = Self { root: 1, release: 1, approval: 1, freshness: 1 };

    /// The number for `role`.
    #[must_use]
    pub const fn of(self, role: Role) -> u8 {
        match role {
            Role::Root => self.root,
            Role::Release => self.release,
            Role::Approval => self.approval,
            Role::Freshness => self.freshness,
        }
    }
}

/// A public key of a trust document and the one role it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentKey<'a> {
    /// What it may sign.
    pub role: Role,
    /// Its algorithm.
    pub alg: Alg,
    /// The public key, as long as its algorithm has it: Ed25519 32 bytes, P-256 65, LMS 60.
    pub bytes: &'a [u8],
}

#[expect(private_interfaces, reason = "see Entry")]
impl<'a> Entry<'a> for DocumentKey<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let number = reader.u8();
        let role = Role::from_number(number).ok_or(DecodeError::UnknownTag(number));
        let role = reader.checked(role, Role::Root);
        let (alg, expected) = listed_algorithm(reader);
        let len = reader.count(MAX_PUBLIC_KEY);
        let bytes = reader.bytes(usize::from(len));
        // A P-256 point has other forms, each another id: one key could then sign as two.
        let known_form = alg != Alg::P256 || bytes.first() == Some(&0x04);
        reader.require(len == expected && known_form, DecodeError::OutOfRange(Field::PublicKey));
        Self { role, alg, bytes }
    }
}

/// Where a key stands in the list, which holds one for each place.
pub(crate) fn place(alg: Alg, key: &[u8]) -> (u8, &[u8]) {
    // HSS keys of one tree under different numbers of levels have different ids and the same secret, which would then sign
    // for two keys.
    let levels = if alg == Alg::Lms { 4 } else { 0 };
    (alg as u8, key.get(levels..).unwrap_or(key))
}

/// An algorithm and the length of its keys. Looked at before a key is: it says what is wrong instead of that so many bytes
/// are too many.
fn listed_algorithm(reader: &mut Reader<'_>) -> (Alg, u8) {
    let number = reader.u8();
    let listed = match Alg::from_number(number) {
        Some(alg) => public_key_len(alg).map(|len| (alg, len)).ok_or(DecodeError::PinnedOnly(number)),
        None => Err(DecodeError::UnknownTag(number)),
    };
    reader.checked(listed, (Alg::Ed25519, 0))
}

fn roles(reader: &mut Reader<'_>) -> Roles {
    let roles = Roles::from_bits(reader.u8());
    reader.checked(roles, Roles::NONE)
}

/// Bytes of a public key; `None` for an algorithm that no trust document lists.
const fn public_key_len(alg: Alg) -> Option<u8> {
    match alg {
        Alg::Ed25519 => Some(32),
        Alg::P256 => Some(65),
        // Of HSS with 32-byte hashes: levels, two types, identifier, root (RFC 8554, 3.3 and 6.1).
        Alg::Lms => Some(60),
        // One key of 1312 bytes and one signature of 2420 are more than an envelope of a document may have.
        Alg::MlDsa44 => None,
    }
}
