//! Arbitrary chains of trust documents. See `ota_fuzz::trust_chain`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::trust_chain::TARGET);
