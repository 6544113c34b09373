//! The trust document's canonical reader, and its keys walked.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::TrustDocument;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| {
    let document = black_box(TrustDocument::decode_unauthenticated(bytes)).ok()?;
    u32::try_from(document.keys.iter().map(black_box).count()).ok()
}));
