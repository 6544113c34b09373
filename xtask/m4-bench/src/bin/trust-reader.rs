//! The trust document's canonical reader.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::TrustDocument;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| {
    let document = TrustDocument::decode_unauthenticated(bytes).ok()?;
    u32::try_from(black_box(&document).keys.len()).ok()
}));
