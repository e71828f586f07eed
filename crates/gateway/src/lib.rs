//! Protocol front ends: decode, authenticate, resolve the instance, call the core, encode.
//!
//! One folder per protocol, one file per verb with the name that the verb has in the broker. A front
//! end holds no messaging semantics, and one protocol never goes through another. [`serve`] opens the
//! listeners; every one of them takes every protocol, told apart by the first bytes (`door.rs`).

pub mod front;
mod grpc_v2;

pub use front::{
    Advertise, AdvertisedAddress, ConnectionInfo, Drain, DrainPhase, Front, FrontSettings,
};
