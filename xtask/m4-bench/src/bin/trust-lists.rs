//! The trust document's reader, and its keys walked.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::TrustDocument;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| {
    let document = TrustDocument::decode_unauthenticated(bytes).ok()?;
    black_box(&document);
    let keys = document.keys.iter().inspect(|key| _ = black_box(key));
    u32::try_from(keys.count()).ok()
}));
