//! Limits both sides keep. The agent checks before it sends, the gate checks what it receives.

/// The largest payload a device may publish, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 128 * 1024;
/// The largest MQTT packet the gate reads, in bytes: a payload, its topic and its properties.
pub const MAX_PACKET_BYTES: usize = MAX_PAYLOAD_BYTES + 8 * 1024;
/// The longest topic name or filter, in bytes.
pub const MAX_TOPIC_BYTES: usize = 512;
/// The most levels a topic name or filter may have.
pub const MAX_TOPIC_LEVELS: usize = 32;
/// How many QoS 1 publishes an agent keeps unacknowledged.
pub const AGENT_IN_FLIGHT: u16 = 64;
/// Keep-alive an agent asks for, in seconds. A dead link is seen after 1.5 times this.
pub const AGENT_KEEP_ALIVE_SECS: u16 = 10;
/// The longest text in a payload (names, labels, mount points), in characters.
pub const MAX_TEXT_CHARS: usize = 256;
/// The longest list in a payload (cores, volumes, interfaces, temperatures).
pub const MAX_LIST: usize = 1024;
/// The longest device name, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// The most tags a device may carry, and the longest tag in characters.
pub const MAX_TAGS: usize = 16;
/// The longest tag, in characters.
pub const MAX_TAG_CHARS: usize = 32;
/// The most gateways in a report.
pub const MAX_GATEWAYS: usize = 32;
/// The longest message, reason or explanation in a payload, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;
/// The most rows in one usage payload.
pub const MAX_USAGE_ROWS: usize = 400;
/// The greatest of a usage row's counts: room to add up half a million of them in signed 64 bits.
pub const MAX_USAGE_COUNT: u64 = 1 << 44;
/// The most records in one log payload.
pub const MAX_LOG_RECORDS: usize = 100;
/// The most events in one event payload.
pub const MAX_EVENTS: usize = 200;
