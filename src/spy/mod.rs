//! The listening post: audio device, keys, meters, a session over the control socket.
