//! One test binary: each module is a subject.

mod about;
mod astdb;
mod astdb_cli;
mod call;
mod cli;
mod conference;
mod control;
mod dial;
mod dialplan;
mod flow;
mod generated;
mod harness;
mod house;
mod interop;
mod local;
mod matching;
mod mutated;
mod oracle;
mod phones;
mod process;
mod prompts;
mod readme;
mod register;
mod spy;
mod spy_cli;
mod torture;
