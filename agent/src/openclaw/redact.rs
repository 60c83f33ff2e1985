//! Cutting secrets and private text out of what OpenClaw says of itself, before it leaves this machine.
//!
//! What is cut leaves a word in brackets behind, so that people see that something was there. Cutting too much costs a
//! little clarity, cutting too little cannot be taken back: when in doubt it is cut.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// A text of at most `max` bytes in which nothing secret or private is left, as far as that can be told from its form.
pub(crate) fn redact(text: &str, max: usize) -> String {
    // Before anything else is done with it: an error may carry a whole conversation.
    let text = shorten(text, max.saturating_mul(4));
    let mut text = without_colours(text);
    for rule in RULES.iter() {
        if rule.pattern.is_match(&text) {
            text = rule.pattern.replace_all(&text, |found: &Captures<'_>| (rule.replace)(found)).into_owned();
        }
    }
    let cut = shorten(&text, max);
    if cut.len() < text.len() {
        let room = max.saturating_sub('…'.len_utf8());
        return format!("{}…", shorten(cut, room));
    }
    text
}

/// At most `max` bytes of a text, not cut within a character.
pub(crate) fn shorten(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

struct Rule {
    pattern: Regex,
    replace: fn(&Captures<'_>) -> String,
}

/// The text of a group, or nothing.
fn group<'t>(found: &Captures<'t>, at: usize) -> &'t str {
    found.get(at).map_or("", |group| group.as_str())
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |pattern: &str, replace| Rule {
        pattern: Regex::new(pattern).expect("the patterns are tested"),
        replace,
    };
    vec![
        // Private keys and certificates, whole, or as far as they were not cut off.
        rule(r"(?s)-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", |_| "[key]".to_owned()),
        // A name that says that a secret follows: apiKey: "...", TOKEN=..., "password":"...", --token ..., in any case.
        rule(
            r#"(?i)([a-z0-9_.-]*(?:api[_-]?key|token|secret|passw(?:or)?d|passphrase|authorization|cookie|credential|private[_-]?key|client[_-]?id|session[_-]?id|bearer)[a-z0-9_-]*\\?["']?\s*(?:[:=]|\s--?\s?)\s*)(\\?"(?:[^"\\]|\\.)*\\?"?|'[^']*'?|(?:bearer|basic|bot)\s+\S+|[^\s,;&)}\]]+)"#,
            |found| {
                let value = group(found, 2).trim_matches(['"', '\'', '\\']);
                // `token: 3` and `tokens=0` count something.
                if value.len() < 4
                    || value.bytes().all(|b| b.is_ascii_digit() || b == b'.') && value.len() < 8
                {
                    return group(found, 0).to_owned();
                }
                format!("{}[secret]", group(found, 1))
            },
        ),
        rule(r"(?i)\b(bearer|basic|bot)\s+[A-Za-z0-9._~+/=:-]{8,}", |found| {
            format!("{} [secret]", group(found, 1))
        }),
        // Forms that issuers give their keys.
        rule(
            r"\b(?:sk|pk|rk|ak|xai|gsk|hf|glpat|nvapi|pplx|r8|key|tvly|ghp|gho|ghu|ghs|ghr|github_pat|npm|pypi|dop_v1|shpat|xox[abeoprs]|xapp|whsec|ocw)[-_][A-Za-z0-9_\-./+]{8,}",
            |_| "[secret]".to_owned(),
        ),
        rule(r"\b(?:AKIA|ASIA|AIza|ya29\.|eyJ)[A-Za-z0-9_\-./+=]{8,}", |_| "[secret]".to_owned()),
        // A Telegram bot's token.
        rule(r"\b(?:bot)?\d{6,12}:[A-Za-z0-9_-]{20,}", |_| "[secret]".to_owned()),
        // User and password, and everything that is asked, in an address.
        rule(r"([a-z][a-z0-9+.-]*://)[^\s/@]+@", |found| format!("{}[secret]@", group(found, 1))),
        rule(r#"([a-z][a-z0-9+.-]*://[^\s?"'<>]+)\?[^\s"'<>]*"#, |found| {
            format!("{}?[query]", group(found, 1))
        }),
        rule(r#"[^\s<>@"'()\[\]:;,=]+@[^\s<>@"'()\[\]:;,]+\.[^\s<>@"'()\[\]:;,.]+"#, |_| {
            "[e-mail]".to_owned()
        }),
        // Whose session it is: agent:main:telegram:direct:+49..., chatId=..., peer ...
        rule(r"\bagent:([A-Za-z0-9_-]+):[^\s,;)}\]'\x22]+", |found| {
            format!("agent:{}:[session]", group(found, 1))
        }),
        rule(
            r#"(?i)\b((?:session|chat|peer|user|sender|from|account|guild|thread|group|recipient|target|to)_?(?:id|key|name|number)?\\?["']?\s*[=:]\s*)(\\?"(?:[^"\\]|\\.)*\\?"|'[^']*'|[^\s,;)}\]]+)"#,
            |found| {
                let value = group(found, 2).trim_matches(['"', '\'', '\\']);
                // A session's key has been cut already.
                if value.starts_with("agent:")
                    || matches!(
                        value,
                        "" | "unknown" | "n/a" | "none" | "null" | "undefined" | "main" | "default"
                    )
                {
                    return group(found, 0).to_owned();
                }
                format!("{}[private]", group(found, 1))
            },
        ),
        // What was said: after a word that announces it, and in quotation marks when it is longer than a name.
        rule(
            r#"(?i)\b((?:prompt|content|text|reply|caption|transcript|utterance|body|input|output|query)\\?["']?\s*[=:]\s*)(\\?"(?:[^"\\]|\\.)*\\?"?|'[^']*'?|`[^`]*`?|[^\n]+)"#,
            |found| format!("{}[text]", group(found, 1)),
        ),
        rule(
            r#"(?i)\b((?:message|preview|response|request|arguments|args|params)\\?["']?\s*[=:]\s*)(\\?"(?:[^"\\]|\\.)*\\?"?|'[^']*'?|`[^`]*`?|\{.*|\[.*)"#,
            |found| format!("{}[text]", group(found, 1)),
        ),
        // An account of a channel may bear a person's name or number.
        rule(r"\[([a-z][a-z0-9-]*):([^\]\s]+)\]", |found| match group(found, 2) {
            "default" => group(found, 0).to_owned(),
            _ => format!("[{}:[private]]", group(found, 1)),
        }),
        rule(
            r#"((?:error|reason|cause)=)?(\\?"(?:[^"\\]|\\.){24,}\\?"|“[^”]{12,}”|「[^」]{4,}」|‘[^’]{24,}’|`[^`\n]{40,}`|'[^'\n]{40,}')"#,
            |found| {
                let (name, quoted) = (group(found, 1), group(found, 2));
                // What an error says in OpenClaw's own words, or a name, is not what somebody said.
                let own = !name.is_empty() && quoted.len() <= 300;
                let word = quoted.split_whitespace().count() < 4 && quoted.is_ascii();
                if own || word { group(found, 0).to_owned() } else { format!("{name}\"[text]\"") }
            },
        ),
        // Whose home it is.
        rule(r"(?:/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s:'\x22]+", |_| "~".to_owned()),
        // What looks like nothing else, before a number is cut out of its middle: long, without spaces, letters and digits
        // mixed. Ids with hyphens are harmless, and so are paths, unless one of their names looks so.
        rule(r"[A-Za-z0-9_+/=-]{24,}", |found| {
            let word = group(found, 0);
            let has = |test: fn(&u8) -> bool| word.bytes().any(|b| test(&b));
            let id = word.len() == 36 && word.bytes().filter(|b| *b == b'-').count() == 4;
            let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
            let strange = |name: &str| {
                let has = |test: fn(&u8) -> bool| name.bytes().any(|b| test(&b));
                name.len() >= 16
                    && has(u8::is_ascii_digit)
                    && has(u8::is_ascii_uppercase)
                    && has(u8::is_ascii_lowercase)
            };
            let path =
                word.matches('/').count() > 1 && !word.contains(['+', '=']) && !word.split('/').any(strange);
            if id || !mixed || path { word.to_owned() } else { "[secret]".to_owned() }
        }),
        // Telephone numbers, and numbers so long that they are somebody's.
        rule(r"\+\d[\d ().-]{6,18}\d", |_| "[number]".to_owned()),
        // Also where a letter stands before it, as in %2B49...
        rule(r"\d{9,}", |_| "[number]".to_owned()),
        rule(r"\b\d{2,4}[ -]\d{3,4}[ -]\d{3,5}\b", |_| "[number]".to_owned()),
    ]
});

/// A text without the colours of a terminal.
fn without_colours(text: &str) -> String {
    static COLOUR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("\x1b\\[[0-9;]*[A-Za-z]").expect("the pattern is tested"));
    if text.contains('\x1b') { COLOUR.replace_all(text, "").into_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text, 4096), expected);
    }

    #[test]
    fn secrets_are_cut() {
        check(
            "lab uncaught exception with key sk-live-FAKE1234567890abcdefghijkl",
            "lab uncaught exception with key [secret]",
        );
        check("Authorization: Bearer abc.def-ghi_jkl", "Authorization: [secret]");
        check("401 for token=FAKEFAKEFAKE&x=1", "401 for token=[secret]&x=1");
        check(r#"{"apiKey":"FAKE-0000","port":18789}"#, r#"{"apiKey":[secret],"port":18789}"#);
        check(r#"config {\"botToken\":\"FAKE 12345\"}"#, r#"config {\"botToken\":[secret]"#);
        check("OPENAI_API_KEY='FAKE FAKE FAKE' node", "OPENAI_API_KEY=[secret] node");
        check(
            &format!("getUpdates https://api.telegram.org/bot{}:{}/x", 123_456_789, "fAke".repeat(9)),
            "getUpdates https://api.telegram.org/[secret]/x",
        );
        check("postgres://claw:hunter2@db/x failed", "postgres://[secret]@db/x failed");
        check(
            "GET https://example.org/a?code=abc&state=1 failed",
            "GET https://example.org/a?[query] failed",
        );
        check(&format!("got ghp_{0} and AKIA{0}", "FAKE1234".repeat(3)), "got [secret] and [secret]");
        // Put together here, so that no search for secrets finds them in the source.
        let mark = |word: &str, what: &str| format!("-----{word} {what} KEY-----");
        let whole = format!("x {}\nfake\nfake\n{} y", mark("BEGIN", "PRIVATE"), mark("END", "PRIVATE"));
        check(&whole, "x [key] y");
        check(&format!("cut off {}\nfake", mark("BEGIN", "RSA PRIVATE")), "cut off [key]");
        check(
            "basic FAKE9f8aB/6d081884c7d65/9a2feAa0 in /opt/openclaw/dist/agents/run-2.js",
            "basic [secret] in /opt/openclaw/dist/agents/run-2.js",
        );
        check("hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "hash [secret]");
    }

    #[test]
    fn people_are_cut() {
        check("sent to +49 (171) 234-5678 ok", "sent to [number] ok");
        check("chat 123456789012 blocked", "chat [number] blocked");
        check("lane=session:agent:main:telegram:direct:4917012345 x", "lane=session:agent:main:[session] x");
        check(
            "chatId=unknown chatId=-100200 key=agent:ops:wa:491",
            "chatId=unknown chatId=[private] key=agent:ops:[session]",
        );
        check("entry v1:telegram::%2B491715550126: retry", "entry v1:telegram::%2B[number]: retry");
        check(
            "[telegram:annas-phone] stopped, [telegram:default] up",
            "[telegram:[private]] stopped, [telegram:default] up",
        );
        check("mail from anna.mustermann@example.org", "mail from [e-mail]");
        check("open /home/anna/.openclaw/openclaw.json", "open ~/.openclaw/openclaw.json");
        check(r"open C:\Users\anna\x and /Users/anna/y", r"open ~\x and ~/y");
        check(r#"user said "please call my doctor about the results tomorrow""#, r#"user said "[text]""#);
        check(r#"prompt: "hi anna" failed"#, "prompt: [text] failed");
        check("run failed: prompt: please call my doctor, then the bank", "run failed: prompt: [text]");
        check("收到消息「明天下午三点开会」失败", "收到消息\"[text]\"失败");
        check(
            r#"400 {"error":{"message":"bad input: my password is tulip"}}"#,
            r#"400 {"error":{"message":[text]"#,
        );
    }

    #[test]
    fn what_helps_stays() {
        for text in [
            "",
            "gateway startup failed: port 18789 is already in use",
            r#"lane task error: lane=main durationMs=9868 error="Agent database cleanup failed""#,
            "transient same-model retry 1/8 for mock/mock-500 reason=server_error: delayMs=798",
            "connect ECONNREFUSED 127.0.0.1:18999",
            "TypeError: fetch failed\n    at Timeout._onTimeout (crash.cjs:5:27)",
            "run 91c2c7fc-4688-48b4-89a6-ba2706d004e9 ended with stopReason=stop",
            "Rate limit reached: 0 tokens remaining; Retry-After: 1 seconds",
            "telegram deleteWebhook failed: Network request for 'deleteWebhook' failed!",
            "maxTokens: 4096, totalTokens=15183",
        ] {
            check(text, text);
        }
        check("\x1b[31mred\x1b[39m", "red");
    }

    #[test]
    fn long_texts_are_cut_within_their_bytes() {
        assert_eq!(redact(&"ä ".repeat(100), 10), "ä ä …");
        assert_eq!(redact("short", 5), "short");
        assert!(redact(&"x ".repeat(1_000_000), 300).len() <= 300);
        // A secret that begins before the cut does not show its beginning.
        let text = format!("{} token=FAKEFAKEFAKEFAKE", "x".repeat(20));
        assert!(!redact(&text, 30).contains("FAKE"));
    }

    proptest! {
        #[test]
        fn planted_secrets_never_survive(
            before in "[a-zA-Z ]{0,20}", after in "[ ,;\n][a-zA-Z ]{0,20}",
            secret in prop_oneof![
                "sk-[A-Za-z0-9]{20,40}", "xox[bp]-[0-9]{8}-[A-Za-z0-9]{12}", "ghp_[A-Za-z0-9]{36}",
                "[0-9]{9}:[A-Za-z0-9_-]{35}", "\\+49[0-9]{9,11}", "[a-z]{3,8}@[a-z]{3,8}\\.org",
                "ocw_[a-z0-9]{12}_[A-Za-z0-9]{43}", "eyJ[A-Za-z0-9]{20}\\.[A-Za-z0-9]{20}",
            ],
        ) {
            let text = format!("{before} {secret}{after}");
            prop_assert!(!redact(&text, 4096).contains(&secret));
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,300}", max in 4usize..400) {
            prop_assert!(redact(&text, max).len() <= max);
        }
    }
}
