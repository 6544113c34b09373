//! Writing a trust document: owned, plain fields, encoded by postcard and read back before it is handed out.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::trust::place;
use crate::{Alg, EncodeError, ExtensionDraft, Order, Role, Roles, Thresholds, TrustDocument};

/// A trust document to be written. Field for field what [`TrustDocument`] reads.
///
/// ```
/// use ota_manifest::{Alg, KeyDraft, Role, TrustDocument, TrustDraft};
///
/// let mut draft = TrustDraft::new(2);
/// draft.keys.push(KeyDraft::new(Role::Root, Alg::Ed25519, &[7; 32])).unwrap();
/// draft.keys.push(KeyDraft::new(Role::Release, Alg::Ed25519, &[1; 32])).unwrap();
/// let mut buffer = [0; 128];
/// let bytes = draft.encode(&mut buffer)?;
/// let document = TrustDocument::decode_unauthenticated(bytes).unwrap();
/// assert_eq!((document.version, document.keys.len(), document.thresholds.root), (2, 2, 1));
/// # Ok::<(), ota_manifest::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustDraft {
    /// See [`TrustDocument::version`].
    pub version: u32,
    /// See [`TrustDocument::epoch`].
    pub epoch: u16,
    /// See [`TrustDocument::min_order`].
    pub min_order: Order,
    /// See [`TrustDocument::thresholds`].
    pub thresholds: Thresholds,
    /// See [`TrustDocument::hybrid`].
    pub hybrid: Roles,
    /// See [`TrustDocument::keys`]; in any order, [`encode`](Self::encode) sorts them.
    pub keys: Vec<KeyDraft, 8>,
    /// See [`TrustDocument::extensions`]; in any order, [`encode`](Self::encode) sorts them.
    pub extensions: Vec<ExtensionDraft, 4>,
}

impl TrustDraft {
    /// A draft that opens epoch 0 alone, refuses no order in it, and needs one root key and one release key, which it has yet to be given.
    #[must_use]
    pub fn new(version: u32) -> Self {
        let thresholds = Thresholds { root: 1, release: 1, approval: 0, freshness: 0 };
        Self {
            version,
            epoch: 0,
            min_order: Order::default(),
            thresholds,
            hybrid: Roles::NONE,
            keys: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// Writes the canonical encoding into `buffer` and returns the part used.
    ///
    /// # Errors
    /// [`EncodeError::Refused`] if a device would refuse the values: nothing is signed that cannot be adopted.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut sorted = self.clone();
        sorted.keys.sort_unstable_by(|a, b| place(a.alg, &a.key).cmp(&place(b.alg, &b.key)));
        sorted.extensions.sort_unstable_by_key(|extension| extension.id);
        let bytes: &'b [u8] = postcard::to_slice(&sorted, buffer).map_err(|_| EncodeError::BufferFull)?;
        TrustDocument::decode_unauthenticated(bytes).map_err(EncodeError::Refused)?;
        Ok(bytes)
    }
}

/// A key of a trust document to be written. See [`DocumentKey`](crate::DocumentKey).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDraft {
    /// What it may sign.
    pub role: Role,
    /// Its algorithm.
    pub alg: Alg,
    /// The public key.
    pub key: Vec<u8, 65>,
}

impl KeyDraft {
    /// Lets the public key `key` sign in `role`. One longer than any algorithm's becomes an empty one, which is refused
    /// when the document is encoded.
    #[must_use]
    pub fn new(role: Role, alg: Alg, key: &[u8]) -> Self {
        Self { role, alg, key: Vec::from_slice(key).unwrap_or_default() }
    }
}
