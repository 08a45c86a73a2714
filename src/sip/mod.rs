//! SIP (RFC 3261) without sockets or clock: wire codec, transactions, dialogs, sessions, registrar.
