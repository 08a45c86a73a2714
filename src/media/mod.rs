//! Media threads: RTP ports, bridges, taps and players; each thread owns what it touches.
