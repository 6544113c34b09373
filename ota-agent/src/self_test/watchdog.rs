//! The watchdog, of which embedded-hal 1 has none.

/// Something that resets the device unless it is fed.
///
/// Feed it on progress alone. A watchdog that is fed by a timer, or by every read of a flash driver, watches over the
/// timer or the driver: firmware that is stuck in a loop that reads would live for ever. [`SelfTest::poll_feeding`]
/// feeds when a probe got further, and never while one waits.
///
/// Implement it for the watchdog of your chip, or lend a closure:
///
/// ```
/// use ota_agent::self_test::Watchdog;
/// let mut fed = 0;
/// let mut watchdog = || fed += 1;
/// watchdog.feed();
/// assert_eq!(fed, 1);
/// ```
///
/// [`SelfTest::poll_feeding`]: crate::self_test::SelfTest::poll_feeding
pub trait Watchdog {
    /// Gives the device another period to live.
    fn feed(&mut self);
}

impl<F: FnMut()> Watchdog for F {
    fn feed(&mut self) {
        self();
    }
}
