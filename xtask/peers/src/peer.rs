//! Who is compared with.

/// The name under which figures are filed.
pub const NAME: &str = "embassy_boot";

/// The version that was built in, from the lock file.
///
/// # Panics
/// If the lock file does not name it, and then nothing would have built.
#[must_use]
pub fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let (_, package) = lock.split_once("name = \"embassy-boot\"\n").expect("a dependency is locked");
    package.split('"').nth(1).expect("a locked package has a version")
}
