//! Ed25519, strict.
#![no_std]
#![no_main]

use ota_verify::Ed25519Key;

m4_bench::program!(|inputs| m4_bench::signature(inputs, Ed25519Key::new));
