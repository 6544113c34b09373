//! A device on Linux, or on anything else with the standard library: the loop around the agent, and links to carry its messages.
//!
//! ```text
//!   Product: self-test, log, gates, stop        NorFlash: where the slots are
//!        \                                      /
//!         '------------ Updater::run ----------'
//!                            |  Exchange, Doorbell
//!        HttpLink, MqttLink, DualLink of the two, or one of your own
//! ```
//! [`Updater::run`] returns when the device is to be reset; whatever happens before, it deals with. Feature `http` brings
//! [`HttpLink`], feature `mqtt` [`MqttLink`] and [`DualLink`].

mod doorbell;
#[cfg(feature = "mqtt")]
mod dual;
#[cfg(feature = "http")]
mod error;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "mqtt")]
mod mqtt;
mod product;
#[cfg(feature = "http")]
mod tls;
mod updater;

pub use doorbell::Doorbell;
#[cfg(feature = "mqtt")]
pub use dual::DualLink;
#[cfg(feature = "http")]
pub use error::{AddressError, LinkError};
#[cfg(feature = "http")]
pub use http::HttpLink;
#[cfg(feature = "mqtt")]
pub use mqtt::{Account, BrokerAddress, MqttLink};
pub use product::{Line, Product, Trial};
#[cfg(feature = "http")]
pub use tls::{Tls, TlsError};
pub use updater::{Ended, Updater};
