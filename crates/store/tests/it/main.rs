//! Each back end of the store against the suite of its trait, and the local log against real files.

mod local_log;
mod support;
