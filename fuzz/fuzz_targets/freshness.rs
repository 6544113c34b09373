//! Arbitrary freshness replies. See `ota_fuzz::freshness`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::freshness::TARGET);
