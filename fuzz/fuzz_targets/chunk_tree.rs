//! Arbitrary images and leaf lists. See `ota_fuzz::chunk_tree`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::chunk_tree::TARGET);
