//! The memory that updates take, in one place: none of it on a stack, none of it in a future.

use layout::LAYOUT;
use ota_agent::StreamLink;
use static_cell::ConstStaticCell;

/// Bytes that are asked for at once: two erase pages, 0.7 s of line. Where a byte is lost, all of it is fetched again.
const WINDOW: usize = 8 * 1024;
const ENVELOPE: usize = LAYOUT.envelope_limit();
const LINK: usize = StreamLink::memory(WINDOW, ENVELOPE);
/// A page erase stops the processor for 85 ms: 980 bytes at 115,200 baud. The driver fills one half while the other is read.
const RECEIVE: usize = 4 * 1024;
const TRANSMIT: usize = 256;
/// Words that the self-test marches over.
const MARCH: usize = 1024;

/// What the driver of the line keeps while nobody looks: what has arrived, and what is to be sent. Taken once.
pub(crate) static RINGS: ConstStaticCell<Rings> = ConstStaticCell::new(([0; RECEIVE], [0; TRANSMIT]));
pub(crate) type Rings = ([u8; RECEIVE], [u8; TRANSMIT]);

/// Taken once.
pub(crate) static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    trust: [0; LAYOUT.trust_limit()],
    work: [0; LAYOUT.work_buffer()],
    envelope: [0; ENVELOPE],
    window: [0; WINDOW],
    link: [0; LINK],
    march: [0; MARCH],
});

/// Who takes what.
pub(crate) struct Memory {
    /// The trust document in force.
    pub(crate) trust: [u8; LAYOUT.trust_limit()],
    /// Slots and journal.
    pub(crate) work: [u8; LAYOUT.work_buffer()],
    /// The agent: the manifest that is under way.
    pub(crate) envelope: [u8; ENVELOPE],
    /// The agent: what of the image is under way.
    pub(crate) window: [u8; WINDOW],
    /// The line: the message that arrives.
    pub(crate) link: [u8; LINK],
    /// The self-test.
    pub(crate) march: [u32; MARCH],
}
