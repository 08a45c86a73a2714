//! One test binary: each module is a subject.

mod cli;
mod control;
mod generated;
mod harness;
mod house;
mod phones;
mod readme;
mod register;
mod spy_cli;
mod torture;
