//! One test binary: each module is a subject.

mod harness;
mod phones;
mod torture;
