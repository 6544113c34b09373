//! The manifest's reader, and all its lists walked.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::Manifest;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| {
    let manifest = Manifest::decode_unauthenticated(bytes).ok()?;
    black_box(&manifest);
    let classes = manifest.classes.iter().inspect(used).count();
    let images = manifest.images.iter().inspect(used).count();
    let dependencies = manifest.dependencies.iter().inspect(used).count();
    let extensions = manifest.extensions.iter().inspect(used).count();
    u32::try_from(classes + images + dependencies + extensions).ok()
}));

/// By reference: handed over by value, each entry would be copied once more than any use of it asks for.
fn used<T>(entry: &T) {
    black_box(entry);
}
