//! Who runs a command, for the audit log.

use store::Actor;

/// The user of the operating system; behind `sudo`, who that was, too.
pub(crate) fn actor() -> Actor {
    let user = user();
    let behind = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty() && *name != user);
    Actor::cli(behind.map_or(user.clone(), |name| format!("{user} (sudo by {name})")))
}

#[cfg(unix)]
fn user() -> String {
    // Not from the environment, where everybody can write what they like.
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &users).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

#[cfg(not(unix))]
fn user() -> String {
    std::env::var("USERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(any(unix, test))]
fn name_of(uid: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_their_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# a remark\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\n";
        assert_eq!(name_of(1000, users), Some("ann"));
        assert_eq!(name_of(0, users), Some("root"));
        assert_eq!(name_of(5, users), None);
    }
}
