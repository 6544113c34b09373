//! LMS with SHA-256.
#![no_std]
#![no_main]

use ota_verify::LmsKey;

m4_bench::program!(|inputs| m4_bench::signature(inputs, LmsKey::new));
