//! Days as people have them: in a time zone, of 23 to 25 hours, beginning when its clocks say so.

use jiff::civil::{Date, Time, date};
use jiff::tz::{Offset, TimeZone};
use protocol::Timestamp;

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// When a viewer's days begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The day before.
    pub yesterday: Timestamp,
    /// The day of now.
    pub today: Timestamp,
    /// The day after.
    pub tomorrow: Timestamp,
}

fn moment(at: Timestamp) -> jiff::Timestamp {
    let at = jiff::Timestamp::from_millisecond(at.0);
    // Nobody has used anything in the year 10,000.
    at.unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// A zone by its name in the tz database, like `Europe/Berlin`.
    pub fn parse(name: &str) -> Option<Self> {
        // A name, and never a path.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_-+".contains(c);
        if !(1..=64).contains(&name.len()) || !name.chars().all(plain) {
            return None;
        }
        let rules = TimeZone::get(name).ok()?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Some(Self { name, rules })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The local day of a moment.
    pub fn date(&self, at: Timestamp) -> Date {
        moment(at).to_zoned(self.rules.clone()).date()
    }

    /// The local time of day of a moment.
    pub fn time(&self, at: Timestamp) -> Time {
        moment(at).to_zoned(self.rules.clone()).time()
    }

    /// When a local day begins: its first moment, also where the clocks skip midnight.
    pub fn start_of(&self, day: Date) -> Timestamp {
        self.at(day, Time::midnight())
    }

    /// When a local clock shows this time: the first time that it does, or right after the gap it falls into.
    pub fn at(&self, day: Date, time: Time) -> Timestamp {
        let at = day.to_datetime(time).to_zoned(self.rules.clone());
        Timestamp(at.map_or(0, |at| at.timestamp().as_millisecond()))
    }

    /// Yesterday, today and tomorrow.
    pub fn days(&self, now: Timestamp) -> Days {
        let today = self.date(now);
        let day = |other: Result<Date, jiff::Error>| self.start_of(other.unwrap_or(today));
        Days {
            yesterday: day(today.yesterday()),
            today: self.start_of(today),
            tomorrow: day(today.tomorrow()),
        }
    }

    /// Full days of the month that come after the day of a moment.
    pub fn days_left_in_month(&self, at: Timestamp) -> u8 {
        let day = self.date(at);
        u8::try_from(days_between(day, day.last_of_month())).unwrap_or(0)
    }

    /// The first moment of the month of a moment.
    pub fn month_of(&self, at: Timestamp) -> Timestamp {
        self.start_of(self.date(at).first_of_month())
    }

    /// Seconds to add to UTC, as they change from one moment to another: the first holds from `from` on, the others
    /// from their moment on.
    pub fn offsets(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, i32)> {
        let mut offsets = vec![(from, self.offset(from))];
        let changes = self.rules.following(moment(from)).take_while(|change| change.timestamp() < moment(to));
        offsets.extend(
            changes.map(|change| (Timestamp(change.timestamp().as_millisecond()), change.offset().seconds())),
        );
        offsets
    }

    /// Seconds to add to UTC at a moment.
    pub(crate) fn offset(&self, at: Timestamp) -> i32 {
        self.rules.to_offset(moment(at)).seconds()
    }
}

/// A moment as RFC 3339, by a clock that is so many seconds off UTC.
pub(crate) fn local(at: Timestamp, offset: i32) -> String {
    let offset = Offset::from_seconds(offset).unwrap_or(Offset::UTC);
    moment(at).display_with_offset(offset).to_string()
}

/// The first day of a day's month, and of the months around it.
pub(crate) fn months(day: Date) -> [Date; 3] {
    let this = day.first_of_month();
    let next = this.last_of_month().tomorrow().unwrap_or(this);
    let last = this.yesterday().unwrap_or(this).first_of_month();
    [last, this, next]
}

/// Days from one to another.
pub(crate) fn days_between(from: Date, to: Date) -> i64 {
    let since = |day: Date| day.duration_since(date(1970, 1, 1)).as_secs() / 86_400;
    since(to) - since(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn ms(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn days_have_the_length_that_their_clocks_give_them() {
        let check = |zone: &str, now: &str, yesterday: i64, today: i64| {
            let days = Zone::parse(zone).unwrap().days(ms(now));
            let lengths = (days.today.millis_since(days.yesterday), days.tomorrow.millis_since(days.today));
            assert_eq!(lengths, (yesterday * HOUR / 2, today * HOUR / 2), "{zone} {now}: {days:?}");
            assert!(days.today <= ms(now) && ms(now) < days.tomorrow);
        };
        check("Europe/Berlin", "2026-10-25T12:00:00Z", 48, 50);
        check("Europe/Berlin", "2026-03-29T12:00:00Z", 48, 46);
        check("Europe/Berlin", "2026-03-30T12:00:00Z", 46, 48);
        check("Australia/Lord_Howe", "2026-04-04T20:00:00Z", 48, 49);
        check("America/Sao_Paulo", "2018-11-04T12:00:00Z", 48, 46);
        check("Asia/Kathmandu", "2026-06-01T18:14:59Z", 48, 48);
        // A day that never was.
        check("Pacific/Apia", "2011-12-31T02:00:00Z", 0, 48);
    }

    #[test]
    fn only_names_of_zones_are_zones() {
        for name in ["Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC", "europe/berlin"] {
            assert!(Zone::parse(name).is_some(), "{name}");
        }
        for name in
            ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe/Berlin ", "+01:00", "Europe"]
        {
            assert!(Zone::parse(name).is_none(), "{name}");
        }
        assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
    }

    #[test]
    fn months_know_the_year() {
        assert_eq!(months(date(2026, 12, 31)), [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]);
        assert_eq!(days_between(date(2024, 2, 1), date(2024, 3, 1)), 29);
    }
}
