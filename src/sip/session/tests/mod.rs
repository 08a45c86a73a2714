//! Sessions between two stacks on virtual time: each test reads as a ladder.

mod basic;
