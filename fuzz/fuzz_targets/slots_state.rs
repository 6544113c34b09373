//! Arbitrary state regions. See `ota_fuzz::state`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::state::TARGET);
