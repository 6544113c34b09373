//! The manifest's canonical reader, and all its lists walked.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::Manifest;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| {
    let manifest = black_box(Manifest::decode_unauthenticated(bytes)).ok()?;
    let classes = manifest.classes.iter().map(black_box).count();
    let images = manifest.images.iter().map(black_box).count();
    let dependencies = manifest.dependencies.iter().map(black_box).count();
    let extensions = manifest.extensions.iter().map(black_box).count();
    u32::try_from(classes + images + dependencies + extensions).ok()
}));
