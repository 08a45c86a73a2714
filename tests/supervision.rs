//! The supervision engine: sessions that follow their target, what they do to the parties, what goes on record.

mod agents;
mod followed;
mod found;
mod phones;
mod recorded;
