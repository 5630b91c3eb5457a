//! The integration tests, in one binary: each module drives the real thing over loopback.
mod dtmf;
mod layers;

mod gateway;
mod media;

mod corpus;
