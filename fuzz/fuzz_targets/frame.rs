//! Arbitrary envelopes. See `ota_fuzz::frame`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::frame::TARGET);
