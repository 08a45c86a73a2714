//! Composition root: wires transport, media, calls, dialplan and control into a running server.
