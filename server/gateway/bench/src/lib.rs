//! What the gateway is tested and measured against: an upstream that does what it is told, a proxy
//! that does nothing but pass on, and load.
//!
//! Nothing here knows the gateway: all of it speaks HTTP over real sockets.

pub mod proxy;
pub mod upstream;
