//! Arbitrary sequences of operations. See `ota_fuzz::ops`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::ops::TARGET);
