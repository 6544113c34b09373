//! The manifest: what a release is, for whom, and which bytes it consists of.

use core::marker::PhantomData;

use crate::codec::Reader;
use crate::image::InFlash;
use crate::{ClassId, DecodeError, DeviceId, Field, Image, Order, SecurityVersion, VendorId, Version};

/// Most classes in a manifest.
pub const MAX_CLASSES: u8 = 4;
/// Most images in a manifest.
pub const MAX_IMAGES: u8 = 4;
/// Most dependencies in a manifest.
pub const MAX_DEPENDENCIES: u8 = 4;
/// Most extensions in a manifest.
pub const MAX_EXTENSIONS: u8 = 4;
/// Longest extension, bytes.
pub const MAX_EXTENSION_BYTES: u8 = 64;

/// Manifest format 1, borrowed from its canonical encoding.
///
/// Deliberately without URLs: the transport supplies them, and chunks authenticate themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest<'a> {
    /// Which manifest is newer.
    pub order: Order,
    /// Anti-rollback counter of the images.
    pub security_version: SecurityVersion,
    /// Maker of the devices this is for.
    pub vendor: VendorId,
    /// Kinds of device this is for; at least one.
    pub classes: Entries<'a, ClassId>,
    /// Hardware revisions this is for.
    pub hardware: HardwareRange,
    /// The release's name for people.
    pub version: Version,
    /// When it was made, seconds since 1970-01-01 UTC.
    pub issued: u64,
    /// After when it should not be installed, seconds since 1970-01-01 UTC.
    pub not_after: Option<u64>,
    /// The only device this is for, or all of the class.
    pub target: Option<DeviceId>,
    /// Lowest bootloader version that can handle the images.
    pub min_bootloader: u16,
    /// How long the new firmware may take from boot to confirm, seconds, at least 1.
    pub confirm_window_s: u16,
    /// Boots the new firmware gets to confirm itself, at least 2.
    pub trial_attempts: u8,
    /// The images; at least one, one per slot when firmware is linked per slot. Several for one address are the same bytes
    /// in flash that travel in different ways; the device takes the first way it knows.
    pub images: Entries<'a, Image>,
    /// What other components must be installed.
    pub dependencies: Entries<'a, Dependency>,
    /// Fields that came after format 1, in ascending order of their number.
    pub extensions: Entries<'a, Extension<'a>>,
}

impl<'a> Manifest<'a> {
    /// Reads a manifest nobody has vouched for: for tools that show one. Devices get theirs from `ota-verify`.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one canonical encoding.
    pub fn decode_unauthenticated(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let manifest = Self {
            order: Order { epoch: r.u16(), sequence: r.u32() },
            security_version: SecurityVersion(r.u32()),
            vendor: VendorId::new(r.array()),
            classes: Entries::read(r, MAX_CLASSES),
            hardware: hardware_range(r),
            version: Version { major: r.u16(), minor: r.u16(), patch: r.u16(), build: r.u32() },
            issued: r.u64(),
            not_after: r.option(Reader::u64),
            target: r.option(|r| DeviceId::new(r.array())),
            min_bootloader: r.u16(),
            confirm_window_s: r.u16(),
            trial_attempts: r.u8(),
            images: Entries::read(r, MAX_IMAGES),
            dependencies: Entries::read(r, MAX_DEPENDENCIES),
            extensions: Entries::read(r, MAX_EXTENSIONS),
        };
        manifest.check_ranges(r);
        reader.finish().map(|()| manifest)
    }

    fn check_ranges(&self, r: &mut Reader<'_>) {
        r.require(!self.classes.is_empty(), DecodeError::Empty(Field::Classes));
        r.require(!self.images.is_empty(), DecodeError::Empty(Field::Images));
        // One attempt cannot tell a bad image from a battery that ran out during the first boot.
        r.require(self.trial_attempts > 1, DecodeError::OutOfRange(Field::TrialAttempts));
        r.require(self.confirm_window_s > 0, DecodeError::OutOfRange(Field::ConfirmWindow));
        r.require(!self.conflicting_images(), DecodeError::ConflictingImages);
        r.require(self.extensions.are_ascending(), DecodeError::ExtensionOrder);
    }

    /// What is in a slot is proven by the first image for its address, whichever was fetched.
    fn conflicting_images(&self) -> bool {
        let in_flash = || self.images.read_as::<InFlash<'_>>();
        in_flash().any(|image| in_flash().any(|other| image.conflicts_with(&other)))
    }

    /// The first image linked for `link_address`, if there is one. Others for that address are the same bytes in flash.
    #[must_use]
    pub fn image_for(&self, link_address: u32) -> Option<Image> {
        self.images.iter().find(|image| image.link_address == link_address)
    }
}

/// Hardware revisions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardwareRange {
    min: u16,
    max: u16,
}

impl HardwareRange {
    /// Every revision.
    pub const ANY: Self = Self { min: 0, max: u16::MAX };

    /// The revisions from `min` to `max`.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] if `min` is above `max`.
    pub const fn new(min: u16, max: u16) -> Result<Self, DecodeError> {
        if min > max { Err(DecodeError::OutOfRange(Field::HardwareRange)) } else { Ok(Self { min, max }) }
    }

    /// Whether `revision` is one of them.
    #[must_use]
    pub const fn contains(self, revision: u16) -> bool {
        self.min <= revision && revision <= self.max
    }
}

fn hardware_range(reader: &mut Reader<'_>) -> HardwareRange {
    let range = HardwareRange::new(reader.u16(), reader.u16());
    reader.checked(range, HardwareRange::ANY)
}

/// What must run before this can be installed. Sequences are of the manifest's own epoch, both ends included.
///
/// On component 0, the application itself, it makes a stepping stone: only firmware in that range is updated to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// Which component.
    pub component: u8,
    /// Lowest sequence.
    pub min_sequence: u32,
    /// Highest sequence, if there is one.
    pub max_sequence: Option<u32>,
}

/// A field that came after format 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Which one.
    pub id: u16,
    /// Whether a device that does not know it must refuse the manifest.
    pub critical: bool,
    /// Its value, at most [`MAX_EXTENSION_BYTES`].
    pub bytes: &'a [u8],
}

/// A list inside a manifest or a trust document, read anew each time it is walked.
#[derive(Clone, PartialEq, Eq)]
pub struct Entries<'a, T> {
    bytes: &'a [u8],
    count: u8,
    entry: PhantomData<T>,
}

impl<'a, T: Entry<'a>> Entries<'a, T> {
    pub(crate) fn read(reader: &mut Reader<'a>, limit: u8) -> Self {
        let (count, bytes) = reader.list(limit, |reader| drop(T::read(reader)));
        Self { bytes, count, entry: PhantomData }
    }

    /// Walks the entries.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        self.read_as()
    }

    /// Reads something else from the same bytes.
    fn read_as<U: Entry<'a>>(&self) -> Walk<'a, U> {
        Walk { reader: Reader::new(self.bytes), left: self.count, entry: PhantomData }
    }
}

/// A walk through entries. Every one was read once when the whole was; a second reading cannot fail.
struct Walk<'a, T> {
    reader: Reader<'a>,
    left: u8,
    entry: PhantomData<T>,
}

impl<'a, T: Entry<'a>> Iterator for Walk<'a, T> {
    type Item = T;

    // One reader of each kind of entry, wherever it is walked through.
    #[inline(never)]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        Some(T::read(&mut self.reader))
    }
}

impl Entries<'_, Extension<'_>> {
    /// Each number once and in one order: a set of extensions has one encoding, and none can be given twice.
    pub(crate) fn are_ascending(&self) -> bool {
        self.iter().map(|extension| extension.id).is_sorted_by(|before, after| before < after)
    }
}

impl<T> Entries<'_, T> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a, T: Entry<'a> + core::fmt::Debug> core::fmt::Debug for Entries<'a, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Something a manifest or a trust document holds a list of. Sealed: the reader is private to this crate.
#[expect(private_interfaces, reason = "sealed by its private reader; named in bounds only")]
pub trait Entry<'a>: Sized {
    /// Reads one entry.
    #[doc(hidden)]
    fn read(reader: &mut Reader<'a>) -> Self;
}

#[expect(private_interfaces, reason = "see Entry")]
impl<'a> Entry<'a> for ClassId {
    fn read(reader: &mut Reader<'a>) -> Self {
        Self::new(reader.array())
    }
}

#[expect(private_interfaces, reason = "see Entry")]
impl<'a> Entry<'a> for Image {
    fn read(reader: &mut Reader<'a>) -> Self {
        Self::read(reader)
    }
}

impl<'a> Entry<'a> for InFlash<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        Self::read(reader)
    }
}

#[expect(private_interfaces, reason = "see Entry")]
impl<'a> Entry<'a> for Dependency {
    fn read(reader: &mut Reader<'a>) -> Self {
        Self { component: reader.u8(), min_sequence: reader.u32(), max_sequence: reader.option(Reader::u32) }
    }
}

#[expect(private_interfaces, reason = "see Entry")]
impl<'a> Entry<'a> for Extension<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let (id, critical) = (reader.u16(), reader.bool());
        let len = reader.count(MAX_EXTENSION_BYTES);
        Self { id, critical, bytes: reader.bytes(usize::from(len)) }
    }
}
