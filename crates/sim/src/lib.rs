//! Deterministic simulation of store and broker, with checkers of the invariants; never shipped.
