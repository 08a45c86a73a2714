//! The control socket: protocol types, server, client.
