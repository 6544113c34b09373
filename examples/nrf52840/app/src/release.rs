//! Which release this is, as `build.rs` was told: environment variable `OTA_VERSION`, feature `slot-b`.

use ota_manifest::Version;
use ota_slots::SlotId;

include!(concat!(env!("OUT_DIR"), "/release.rs"));
