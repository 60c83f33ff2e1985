//! Numbers and times in the words of both languages.

use store::Said;

/// The same in both languages.
pub(crate) fn both(text: impl Into<String>) -> Said {
    let en = text.into();
    Said { zh: en.clone(), en }
}

/// A text in each language.
pub(crate) fn said(en: impl Into<String>, zh: impl Into<String>) -> Said {
    Said { en: en.into(), zh: zh.into() }
}

/// A length of time in its largest unit and the next.
pub(crate) fn span(ms: i64) -> Said {
    let s = (ms / 1000).max(0);
    let (d, h, m) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
    let two = |a: i64, en: [&str; 2], zh: [&str; 2], b: i64| {
        if b == 0 {
            said(format!("{a} {}", en[0]), format!("{a} {}", zh[0]))
        } else {
            said(format!("{a} {} {b} {}", en[0], en[1]), format!("{a} {} {b} {}", zh[0], zh[1]))
        }
    };
    if d > 0 {
        two(d, ["d", "h"], ["天", "小时"], h)
    } else if h > 0 {
        two(h, ["h", "min"], ["小时", "分"], m)
    } else if m > 0 {
        two(m, ["min", "s"], ["分", "秒"], if m < 5 { s % 60 } else { 0 })
    } else {
        said(format!("{s} s"), format!("{s} 秒"))
    }
}

/// Percent, without what nobody reads.
pub(crate) fn percent(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}%") } else { format!("{value:.0}%") }
}

/// Bytes in the unit that fits.
pub(crate) fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (value, units[0]);
    for larger in units.iter().skip(1) {
        if value.abs() < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if value.abs() >= 100.0 || unit == "B" {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// Dollars from billionths.
pub(crate) fn dollars(nano: f64) -> String {
    let value = nano / 1e9;
    if value >= 100.0 { format!("${value:.0}") } else { format!("${value:.2}") }
}

/// Tokens with K, M or B.
pub(crate) fn tokens(count: f64) -> String {
    match count {
        n if n >= 1e9 => format!("{:.1}B", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e3 => format!("{:.0}K", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// A text of others, on one line and not longer than this.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() || store::unseen(c) { ' ' } else { c })
        .take(chars + 1)
        .collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > chars {
        format!("{}…", line.chars().take(chars).collect::<String>().trim_end())
    } else {
        line
    }
}

/// Names, the first few of them.
pub(crate) fn names<'a>(names: impl Iterator<Item = &'a str>, most: usize) -> Said {
    let all: Vec<String> = names.map(|name| cut(name, 40)).collect();
    let shown = all.iter().take(most).map(String::as_str).collect::<Vec<_>>();
    let more = all.len().saturating_sub(most);
    if more == 0 {
        return said(shown.join(", "), shown.join("、"));
    }
    said(format!("{} and {more} more", shown.join(", ")), format!("{} 等 {} 台", shown.join("、"), all.len()))
}
