//! The client against servers that behave, and servers that do not.

#[cfg(test)]
mod remoting;
#[cfg(test)]
mod server;
