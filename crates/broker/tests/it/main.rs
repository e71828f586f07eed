//! Every verb on the real store, with a clock that the tests move and commits that they make.

mod access;
mod ack;
mod browse;
mod clients;
mod dead_letters;
mod fifo;
mod held;
mod inspections;
mod instances;
mod lite;
mod lite_lag;
mod lock;
mod nodes;
mod offset;
mod own_nodes;
mod plans;
mod quota;
mod receive;
mod restart;
mod retention;
mod send;
mod series;
mod shares;
mod support;
mod trend;
