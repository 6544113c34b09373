//! Arbitrary bytes on a line. See `ota_fuzz::stream`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::stream::TARGET);
