//! Arbitrary messages. See `ota_fuzz::messages`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::messages::TARGET);
