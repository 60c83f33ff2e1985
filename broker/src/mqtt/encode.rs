use bytes::{BufMut, BytesMut};

use super::properties::{
    ASSIGNED_CLIENT_ID, MAXIMUM_PACKET_SIZE, RECEIVE_MAXIMUM, SERVER_KEEP_ALIVE, SESSION_EXPIRY,
    SHARED_SUBSCRIPTION, SUBSCRIPTION_ID, put_variable_int,
};
use super::{Outgoing, Reply, Version};

fn put_text(out: &mut BytesMut, text: &[u8]) {
    // Every text that is sent was received in a field of two length bytes, or is one of ours.
    let text = text.get(..usize::from(u16::MAX)).unwrap_or(text);
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(text);
}

fn put_packet(out: &mut BytesMut, first: u8, body: &[&[u8]]) {
    out.put_u8(first);
    let len: usize = body.iter().map(|part| part.len()).sum();
    put_variable_int(out, u32::try_from(len).unwrap_or(u32::MAX));
    for part in body {
        out.extend_from_slice(part);
    }
}

fn put_acknowledgement(out: &mut BytesMut, version: Version, first: u8, packet_id: u16, reason: u8) {
    let id = packet_id.to_be_bytes();
    if version == Version::V5 && reason != 0 {
        put_packet(out, first, &[&id, &[reason]]);
    } else {
        put_packet(out, first, &[&id]);
    }
}

/// Writes a packet to the end of `out`.
pub(crate) fn encode(out: &mut BytesMut, version: Version, reply: &Reply<'_>) {
    let v5 = version == Version::V5;
    match reply {
        Reply::ConnAck { session_present, code, assigned_client_id, limits } => {
            let head = [u8::from(*session_present), if v5 { code.v5() } else { code.v311() }];
            if !v5 {
                put_packet(out, 0x20, &[&head]);
                return;
            }
            let mut list = BytesMut::new();
            if code.v5() == 0 {
                list.put_u8(RECEIVE_MAXIMUM);
                list.put_u16(limits.receive_maximum);
                list.put_u8(MAXIMUM_PACKET_SIZE);
                list.put_u32(limits.maximum_packet_size);
                list.put_u8(SHARED_SUBSCRIPTION);
                list.put_u8(0);
                if let Some(secs) = limits.session_expiry_secs {
                    list.put_u8(SESSION_EXPIRY);
                    list.put_u32(secs);
                }
                if let Some(secs) = limits.keep_alive_secs {
                    list.put_u8(SERVER_KEEP_ALIVE);
                    list.put_u16(secs);
                }
                if let Some(id) = assigned_client_id {
                    list.put_u8(ASSIGNED_CLIENT_ID);
                    put_text(&mut list, id.as_bytes());
                }
            }
            put_with_properties(out, 0x20, &head, &list, &[]);
        }
        Reply::Publish { publish } => put_publish(out, v5, publish),
        Reply::PubAck { packet_id, reason } => put_acknowledgement(out, version, 0x40, *packet_id, *reason),
        Reply::PubRec { packet_id, reason } => put_acknowledgement(out, version, 0x50, *packet_id, *reason),
        Reply::PubRel { packet_id, reason } => put_acknowledgement(out, version, 0x62, *packet_id, *reason),
        Reply::PubComp { packet_id, reason } => put_acknowledgement(out, version, 0x70, *packet_id, *reason),
        Reply::SubAck { packet_id, codes } => {
            let id = packet_id.to_be_bytes();
            if v5 {
                put_packet(out, 0x90, &[&id, &[0], codes]);
            } else {
                put_packet(out, 0x90, &[&id, codes]);
            }
        }
        Reply::UnsubAck { packet_id, codes } => {
            let id = packet_id.to_be_bytes();
            if v5 {
                put_packet(out, 0xb0, &[&id, &[0], codes]);
            } else {
                put_packet(out, 0xb0, &[&id]);
            }
        }
        Reply::PingResp => put_packet(out, 0xd0, &[]),
        Reply::Disconnect { reason } => {
            if v5 {
                put_packet(out, 0xe0, &[&[*reason]]);
            }
        }
    }
}

fn put_with_properties(out: &mut BytesMut, first: u8, head: &[u8], list: &[u8], tail: &[&[u8]]) {
    let mut len = BytesMut::with_capacity(4);
    put_variable_int(&mut len, u32::try_from(list.len()).unwrap_or(u32::MAX));
    let mut parts: Vec<&[u8]> = vec![head, &len, list];
    parts.extend_from_slice(tail);
    put_packet(out, first, &parts);
}

fn put_publish(out: &mut BytesMut, v5: bool, publish: &Outgoing<'_>) {
    let first = 0x30 | u8::from(publish.dup) << 3 | (publish.qos as u8) << 1 | u8::from(publish.retain);
    let mut head = BytesMut::with_capacity(publish.topic.len() + 4);
    put_text(&mut head, publish.topic.as_bytes());
    if publish.packet_id != 0 {
        head.put_u16(publish.packet_id);
    }
    if !v5 {
        put_packet(out, first, &[&head, publish.payload]);
        return;
    }
    if publish.subscription_ids.is_empty() {
        put_with_properties(out, first, &head, publish.properties, &[publish.payload]);
        return;
    }
    let mut list = BytesMut::from(&publish.properties[..]);
    for id in publish.subscription_ids {
        list.put_u8(SUBSCRIPTION_ID);
        put_variable_int(&mut list, *id);
    }
    put_with_properties(out, first, &head, &list, &[publish.payload]);
}
