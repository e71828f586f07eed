//! Protocol front ends: decode, authenticate, call the core, encode.
