//! Recordings from their first sample to their receipts, with everything in between that can go wrong.

mod chaos;
mod crash;
