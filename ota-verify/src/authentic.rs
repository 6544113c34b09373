//! The first proof: a manifest that the right keys signed.

use ota_manifest::{Manifest, ManifestId, Order};

use crate::AlgSet;
use crate::tally::Tally;

/// A manifest signed by keys this device trusts. Whether it is *for* this device is the next question.
///
/// ```compile_fail
/// fn forge<'a>(manifest: ota_manifest::Manifest<'a>) -> ota_verify::Authentic<'a> {
///     ota_verify::Authentic { manifest } // private fields
/// }
/// ```
#[derive(Debug)]
pub struct Authentic<'a> {
    manifest: Manifest<'a>,
    id: ManifestId,
    signed: Tally,
    needed: u8,
    min_order: Order,
}

impl<'a> Authentic<'a> {
    pub(crate) fn new(
        manifest: Manifest<'a>,
        id: ManifestId,
        signed: Tally,
        needed: u8,
        min_order: Order,
    ) -> Self {
        Self { manifest, id, signed, needed, min_order }
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ManifestId {
        self.id
    }

    /// Algorithms of the signatures that counted.
    #[must_use]
    pub fn algorithms(&self) -> AlgSet {
        self.signed.algorithms()
    }

    /// Whether somebody who knows these algorithms alone counts enough signatures too.
    pub(crate) fn is_provable_with(&self, algorithms: AlgSet) -> bool {
        self.signed.counted_in(algorithms) >= self.needed.max(1)
    }

    /// The lowest order that the trust still accepts.
    pub(crate) fn min_order(&self) -> Order {
        self.min_order
    }

    pub(crate) fn into_parts(self) -> (Manifest<'a>, ManifestId) {
        (self.manifest, self.id)
    }
}
