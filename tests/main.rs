//! One test binary: each module is a subject.

mod harness;
mod house;
mod phones;
mod torture;
