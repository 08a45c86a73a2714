//! Second implementations, written apart from the first and as plainly as can be: what they say is compared with it.

mod expression;
mod random;
mod real;
mod regex;
mod written;
