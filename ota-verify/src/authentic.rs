//! The first proof: a manifest that the right keys signed.

use ota_manifest::{Manifest, ManifestId};

use crate::AlgSet;
use crate::tally::Quorum;
use crate::trust::OpenOrders;

/// A manifest signed by keys this device trusts. Whether it is *for* this device is the next question.
///
/// ```compile_fail
/// fn forge<'a>(manifest: ota_manifest::Manifest<'a>) -> ota_verify::Authentic<'a> {
///     ota_verify::Authentic { manifest } // private fields
/// }
/// ```
#[derive(Debug)]
pub struct Authentic<'a> {
    pub(crate) manifest: Manifest<'a>,
    pub(crate) id: ManifestId,
    pub(crate) release: Quorum,
    /// `None` where nobody has to approve.
    pub(crate) approval: Option<Quorum>,
    pub(crate) open: OpenOrders,
}

impl<'a> Authentic<'a> {
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
        self.quorums().fold(AlgSet::NONE, |set, quorum| set.union(quorum.tally.algorithms()))
    }

    /// Whether somebody who knows these algorithms alone counts enough signatures too.
    pub(crate) fn is_provable_with(&self, algorithms: AlgSet) -> bool {
        self.quorums().all(|quorum| quorum.check(algorithms).is_ok())
    }

    fn quorums(&self) -> impl Iterator<Item = &Quorum> {
        core::iter::once(&self.release).chain(&self.approval)
    }
}
