//! Who hears whom, without sockets.
