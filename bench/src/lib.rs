//! What the simulators share: MQTT 3.1.1 as an agent speaks it, in as little memory as ten thousand of them need.

pub mod mqtt;
pub mod tls;
