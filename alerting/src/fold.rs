//! Many devices that are lost at once are one alert: a line, a provider or a house is down, and nobody wants to hear that a
//! hundred times.

use std::collections::HashMap;
use std::net::IpAddr;

use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Said, Scope};

use crate::engine::Saying;
use crate::facts::World;
use crate::say::{cut, names, said, span};

/// Between two of those that are lost together lies no more than this.
const GAP_MS: i64 = 10_000;
/// So many with something in common are one alert ...
const LEAST: usize = 5;
/// ... or so many with nothing in common ...
const LEAST_ANY: usize = 10;
/// ... or this share of all that were there, if these are at least [`LEAST`].
const SHARE: f64 = 0.8;
/// Names in a message.
const NAMES: usize = 8;

/// Many devices that were lost at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Storm {
    /// When the first was lost.
    pub(crate) first: Timestamp,
    /// When the last was.
    pub(crate) last: Timestamp,
    /// All that were lost, in order: whoever is back stays in it.
    pub(crate) lost: Vec<DeviceId>,
    /// What they have in common.
    pub(crate) common: Common,
}

/// What devices have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Common {
    /// They are all that there are.
    All,
    /// A tag.
    Tag(String),
    /// A public prefix: `/24`, or `/48` of IPv6.
    Prefix(String),
    /// Only when it was.
    Moment,
}

pub(crate) struct Group {
    pub(crate) storm: Storm,
    pub(crate) members: Vec<DeviceId>,
}

/// The network that an address belongs to.
fn prefix(address: IpAddr) -> Option<String> {
    match address.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_private() || ip.is_link_local() => None,
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Some(format!("{a}.{b}.{c}.0/24"))
        }
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local() => None,
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            Some(format!("{a:x}:{b:x}:{c:x}::/48"))
        }
    }
}

fn has(world: &World, id: DeviceId, common: &Common) -> bool {
    let Some(known) = world.devices.get(&id) else { return false };
    match common {
        Common::All | Common::Moment => true,
        Common::Tag(tag) => known.now.tags.contains(tag),
        Common::Prefix(text) => known.now.address.and_then(prefix).as_ref() == Some(text),
    }
}

/// Those that were lost together with a device, if they are many: `pending` are all that are lost and not told of.
pub(crate) fn group(
    world: &World,
    scope: &Scope,
    pending: &[(DeviceId, Timestamp)],
    id: DeviceId,
) -> Option<Group> {
    if pending.len() < LEAST {
        return None;
    }
    let mut pending = pending.to_vec();
    pending.sort_by_key(|(id, since)| (*since, *id));
    // The chain of losses that this one is part of.
    let own = pending.iter().position(|(other, _)| *other == id)?;
    let apart = |a: Option<&(DeviceId, Timestamp)>, b: Option<&(DeviceId, Timestamp)>| {
        a.zip(b).is_none_or(|((_, a), (_, b))| b.millis_since(*a) > GAP_MS)
    };
    let begin = (0..=own).rev().find(|i| *i == 0 || apart(pending.get(i - 1), pending.get(*i))).unwrap_or(0);
    let end = (own + 1..=pending.len())
        .find(|i| apart(pending.get(i - 1), pending.get(*i)))
        .unwrap_or(pending.len());
    let chain = pending.get(begin..end)?;
    if chain.len() < LEAST {
        return None;
    }
    let ids: Vec<DeviceId> = chain.iter().map(|(id, _)| *id).collect();
    let still = world.within(scope).filter(|known| known.now.online == Some(true)).count();
    #[expect(clippy::cast_precision_loss, reason = "a share of devices")]
    let share = ids.len() as f64 / (ids.len() + still) as f64;
    let common = if share >= SHARE {
        Common::All
    } else {
        let mut counts: HashMap<Common, usize> = HashMap::new();
        for id in &ids {
            let Some(known) = world.devices.get(id) else { continue };
            for tag in &known.now.tags {
                *counts.entry(Common::Tag(tag.clone())).or_default() += 1;
            }
            if let Some(prefix) = known.now.address.and_then(prefix) {
                *counts.entry(Common::Prefix(prefix)).or_default() += 1;
            }
        }
        // The most; of equals a place says more than a word.
        let best = counts
            .into_iter()
            .filter(|(common, n)| *n >= LEAST && has(world, id, common))
            .max_by(|(a, n), (b, m)| n.cmp(m).then_with(|| a.cmp(b)));
        match best {
            Some((common, _)) => common,
            None if ids.len() >= LEAST_ANY => Common::Moment,
            None => return None,
        }
    };
    let within: Vec<(DeviceId, Timestamp)> =
        chain.iter().copied().filter(|(id, _)| has(world, *id, &common)).collect();
    let mut members: Vec<DeviceId> = within.iter().map(|(id, _)| *id).collect();
    members.sort_unstable();
    let (first, last) = (within.first()?.1, within.last()?.1);
    Some(Group { storm: Storm { first, last, lost: members.clone(), common }, members })
}

/// Those that are lost and belong to a storm that was told of.
pub(crate) fn joins(
    world: &World,
    storm: &Storm,
    pending: &[(DeviceId, Timestamp)],
    scope: &Scope,
) -> Vec<(DeviceId, Timestamp)> {
    let mut pending: Vec<_> = pending
        .iter()
        .copied()
        .filter(|(id, _)| has(world, *id, &storm.common))
        .filter(|(id, _)| world.devices.get(id).is_some_and(|known| scope.has(*id, &known.now.tags)))
        .collect();
    pending.sort_by_key(|(id, since)| (*since, *id));
    let mut last = storm.last;
    pending.retain(|(_, since)| {
        let near = since.millis_since(last) <= GAP_MS && storm.first.millis_since(*since) <= GAP_MS;
        if near {
            last = last.max(*since);
        }
        near
    });
    pending
}

fn place(common: &Common) -> Option<Said> {
    match common {
        Common::All | Common::Moment => None,
        Common::Tag(tag) => {
            let tag = cut(tag, 40);
            Some(said(tag.clone(), tag))
        }
        Common::Prefix(prefix) => Some(said(prefix.clone(), prefix.clone())),
    }
}

/// What a storm says while some are still away.
pub(crate) fn say(world: &World, storm: &Storm, members: &[DeviceId], lost: usize) -> Saying {
    let n = members.len();
    let which = match (&storm.common, place(&storm.common)) {
        (Common::All, _) if n == lost => said(format!("All {n} devices"), format!("全部 {n} 台设备")),
        (_, Some(place)) => {
            said(format!("{n} devices in {}", place.en), format!("{} 的 {n} 台设备", place.zh))
        }
        (_, None) => said(format!("{n} devices"), format!("{n} 台设备")),
    };
    let title = if n == lost {
        said(format!("{} offline", which.en), format!("{}离线", which.zh))
    } else {
        let verb = if n == 1 { "is" } else { "are" };
        said(format!("{n} of {lost} devices {verb} still offline"), format!("{lost} 台设备中 {n} 台仍离线"))
    };
    let within = span(storm.last.millis_since(storm.first).max(1_000));
    let mut named: Vec<&str> =
        members.iter().filter_map(|id| world.devices.get(id)).map(|known| known.now.name.as_str()).collect();
    named.sort_unstable();
    let who = names(named.into_iter(), NAMES);
    let detail = said(
        format!("Lost within {}: {}.", within.en, who.en),
        format!("{}内同时断线：{}。", within.zh, who.zh),
    );
    Saying { title, detail: Some(detail) }
}

/// What a storm says when all are back.
pub(crate) fn over(storm: &Storm) -> Saying {
    let lost = storm.lost.len();
    let place = place(&storm.common).map_or_else(
        || said(String::new(), String::new()),
        |place| said(format!(" in {}", place.en), format!("{} 的 ", place.zh)),
    );
    let title = said(format!("{lost} devices{} offline", place.en), format!("{}{lost} 台设备离线", place.zh));
    Saying { title, detail: Some(said("All of them are back.", "已全部恢复。")) }
}
