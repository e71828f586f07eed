//! Remoting.
