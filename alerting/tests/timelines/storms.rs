//! Many devices at once are one alert.

use alerting::What::{Changed, Fired, Resolved};
use store::Severity::Error;

use crate::common::*;

fn tagged(devices: usize, tag: impl Fn(usize) -> Option<&'static str>) -> Story {
    let mut story = Story::of(devices, &[rule(1, "offline")]);
    for n in 0..devices {
        let tags = tag(n).map(str::to_owned).into_iter().collect();
        story.change(n, |device| device.tags = tags);
    }
    story
}

#[test]
fn all_of_a_fleet_at_once_are_one_alert_that_changes_in_place() {
    let mut story = tagged(500, |_| None);
    for n in 0..500 {
        story.lose(n);
    }
    story.pass(15 * SECOND).expect(&[("offline", Fired, Error)]);
    let storm = story.last().clone();
    assert_eq!((storm.members.len(), &*storm.telling.title.en), (500, "All 500 devices offline"));
    assert_eq!(storm.key.device, None);
    for n in 0..499 {
        story.back(n);
    }
    story.expect(&[]);
    let last = story.last();
    assert_eq!(
        (last.what, last.members.len(), &*last.telling.title.en),
        (Changed, 1, "1 of 500 devices is still offline")
    );
    story.back(499).expect(&[("offline", Resolved, Error)]);
    let over = story.last();
    assert_eq!(
        (over.members.len(), &*over.telling.title.en),
        (500, "500 devices offline"),
        "as it is remembered"
    );
    // One that is lost later is one that is lost.
    story.pass(DAY).lose(7).pass(MINUTE).expect(&[("offline", Fired, Error)]);
    assert_eq!(story.last().key, key(1, 7));
}

#[test]
fn what_shares_a_tag_is_folded_and_the_others_are_not() {
    let mut story = tagged(40, |n| if n < 12 { Some("fra") } else { Some("rest") });
    for n in 0..6 {
        story.lose(n).pass(SECOND);
    }
    story.lose(20).pass(20 * SECOND);
    story.expect(&[("offline", Fired, Error), ("offline", Fired, Error)]);
    let firing = story.firing();
    let storm = firing.iter().find(|alert| alert.key.device.is_none()).unwrap();
    assert_eq!((storm.members.len(), &*storm.telling.title.zh), (6, "fra 的 6 台设备离线"));
    // One more of them within ten seconds of the last belongs to it; one after that does not.
    let mut story = tagged(40, |n| if n < 12 { Some("fra") } else { None });
    for n in 0..6 {
        story.lose(n);
    }
    story.pass(9 * SECOND).lose(6).pass(9 * SECOND).lose(7).pass(MINUTE);
    story.expect(&[("offline", Fired, Error)]);
    assert_eq!(story.last().members.len(), 8);
    story.lose(8).pass(MINUTE).expect(&[("offline", Fired, Error)]);
    assert_eq!(story.last().key, key(1, 8));
}

#[test]
fn a_public_prefix_is_something_in_common() {
    let mut story = tagged(60, |_| None);
    for n in 0..6 {
        story.change(n, |device| device.address = Some(format!("203.0.113.{n}").parse().unwrap()));
    }
    for n in 0..6 {
        story.lose(n);
    }
    story.pass(MINUTE).expect(&[("offline", Fired, Error)]);
    assert_eq!(story.last().telling.title.en, "6 devices in 203.0.113.0/24 offline");
    // Private ones say nothing: everybody has those.
    let mut story = tagged(60, |_| None);
    for n in 0..6 {
        story.change(n, |device| device.address = Some(format!("192.168.1.{n}").parse().unwrap()));
    }
    for n in 0..6 {
        story.lose(n);
    }
    story.pass(MINUTE);
    assert_eq!(story.firing().len(), 6);
}

#[test]
fn few_with_nothing_in_common_are_told_one_by_one() {
    let mut story = tagged(40, |_| None);
    for n in 0..4 {
        story.lose(n);
    }
    story.pass(MINUTE);
    assert_eq!(story.firing().len(), 4);
    assert!(story.firing().iter().all(|alert| alert.members.is_empty()));
}

#[test]
fn a_storm_goes_on_after_a_restart_and_each_device_has_one_end() {
    let mut story = tagged(30, |_| Some("house"));
    for n in 0..30 {
        story.lose(n);
    }
    story.pass(MINUTE).expect(&[("offline", Fired, Error)]);
    story.restart(5 * MINUTE).expect(&[]);
    for n in 0..29 {
        story.back(n);
    }
    assert_eq!(story.firing()[0].members, [id(29)]);
    story.learn([alerting::facts::Fact::Removed(id(29))]);
    story.expect(&[("offline", Resolved, Error)]);
    assert_eq!(story.firing(), []);
}

#[test]
fn what_was_folded_into_nothing_is_lost_anew() {
    let mut story = tagged(30, |_| Some("house"));
    for n in 0..30 {
        story.lose(n);
    }
    story.pass(MINUTE).expect(&[("offline", Fired, Error)]);
    // The alert is not there any more at the next start: whoever is away is told of.
    story.told.clear();
    story.seen = 0;
    story.restart(MINUTE).pass(MINUTE).expect(&[("offline", Fired, Error)]);
    assert_eq!(story.last().members.len(), 30);
}
