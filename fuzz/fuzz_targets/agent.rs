//! Arbitrary inputs of an agent. See `ota_fuzz::agent`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::agent::TARGET);
