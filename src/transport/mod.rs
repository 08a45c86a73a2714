//! UDP and TCP sockets and the tokio task that drives the SIP stack.
