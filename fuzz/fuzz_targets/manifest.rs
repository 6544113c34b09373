//! Arbitrary manifests. See `ota_fuzz::manifest`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::manifest::TARGET);
