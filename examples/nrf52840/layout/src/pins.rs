//! Which pins do what.

/// Takes the pins out of `embassy_nrf::init`'s peripherals and makes a `$pins` of them, a structure of the caller's.
///
/// The nRF52840 DK (user guide, section "Hardware description"): LED 1 to 4 light when low; P0.06 and P0.08 go to the
/// debugger's serial port; P0.26 and P0.27 are SDA and SCL of the Arduino header.
#[macro_export]
macro_rules! pins {
    ($peripherals:ident, $pins:ident) => {
        $pins {
            leds: [
                $crate::light!($peripherals).into(),
                $peripherals.P0_14.into(),
                $peripherals.P0_15.into(),
                $peripherals.P0_16.into(),
            ],
            receive: $peripherals.P0_08.into(),
            transmit: $peripherals.P0_06.into(),
            sda: $peripherals.P0_26.into(),
            scl: $peripherals.P0_27.into(),
        }
    };
}

/// The first light of those, for a program that has no use for the rest.
#[macro_export]
macro_rules! light {
    ($peripherals:ident) => {
        $peripherals.P0_13
    };
}
