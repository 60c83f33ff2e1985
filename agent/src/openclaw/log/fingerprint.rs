use crate::openclaw::short_hash;

/// What alike errors have in common, whatever device they are of: 16 hexadecimal digits of the hash of where and how, with all
/// that changes from one to the next left out.
pub(crate) fn fingerprint(parts: &[&str], message: &str) -> String {
    let shape = shape(message);
    let parts: Vec<&str> = parts.iter().copied().chain([shape.as_str()]).collect();
    short_hash(&parts)
}

/// A message without numbers, ids, paths and what stands in quotation marks.
fn shape(message: &str) -> String {
    let first = message.lines().next().unwrap_or("");
    let mut shape = String::new();
    for word in first.split_whitespace().take(40) {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '/');
        let changes = word.bytes().any(|b| b.is_ascii_digit()) || word.contains(['[', '"', '\\']);
        let path = word.matches('/').count() > 1 || word.starts_with("~/");
        // What stands before a value names it.
        let kept = match word.split_once(['=', ':']) {
            _ if path => "/",
            Some((name, _)) if !name.bytes().any(|b| b.is_ascii_digit()) => name,
            _ if changes => "#",
            _ => word,
        };
        shape.push_str(kept);
        shape.push(' ');
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_errors_have_one_fingerprint_and_others_another() {
        let of = |message: &str| fingerprint(&["agent/embedded"], message);
        for (one, other) in [
            ("lane task error: lane=main durationMs=9868", "lane task error: lane=cron durationMs=1"),
            ("retry 1/8 for mock after 3s", "retry 7/8 for mock after 19s"),
            ("cannot open ~/a/b.json", "cannot open ~/c/d/e.json"),
            ("run 91c2c7fc-4688 failed", "run 0948c51e-ff81 failed"),
            ("it failed\n at a.js:1", "it failed\n at b.js:2"),
        ] {
            assert_eq!(of(one), of(other), "{one}");
        }
        assert_ne!(of("rate limit reached"), of("authentication failed"));
        assert_ne!(of("x"), fingerprint(&["gateway"], "x"));
        assert_eq!(of("").len(), 16);
        assert!(of("ä 「x」").bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
