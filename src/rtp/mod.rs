//! RTP and RTCP packets, sequence numbers, jitter buffer, telephone-event. Pure.
