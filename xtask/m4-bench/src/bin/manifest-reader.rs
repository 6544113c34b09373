//! The manifest's canonical reader.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::Manifest;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| {
    let manifest = Manifest::decode_unauthenticated(bytes).ok()?;
    let Manifest { classes, images, dependencies, extensions, .. } = black_box(&manifest);
    u32::try_from(classes.len() + images.len() + dependencies.len() + extensions.len()).ok()
}));
