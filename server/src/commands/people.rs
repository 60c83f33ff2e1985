use std::io::Read as _;

use anyhow::{Context as _, bail, ensure};
use protocol::{KeyHash, Timestamp};
use serde_json::json;
use store::{PersonInfo, TokenInfo};

use super::{open, print, who};
use crate::cli::{TokenCommand, UserCommand};
use crate::config::Config;

const DAY_MS: i64 = 86_400_000;

fn day(at: Option<Timestamp>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

pub(super) async fn token(command: TokenCommand, config: &Config, json: bool) -> anyhow::Result<()> {
    let store = open(config, matches!(command, TokenCommand::Create { .. })).await?;
    match command {
        TokenCommand::Create { role, days, name } => {
            let token = format!("ocwt_{}", protocol::new_secret());
            let until = days.map(|days| store.clock().now().plus_millis(i64::from(days) * DAY_MS));
            let hash = KeyHash::of(token.as_bytes());
            let id = store.add_token(&who::actor(), &hash, role.into(), &name, until).await?;
            print(json, &json!({ "id": id.to_string(), "token": token }), || {
                format!(
                    "The token is shown now and never again. Send it as `Authorization: Bearer TOKEN`:\n\n    {token}\n"
                )
            });
        }
        TokenCommand::List => {
            let tokens = store.tokens().await?;
            let row = |token: &TokenInfo| {
                json!({
                    "id": token.id.to_string(), "name": token.name, "role": token.role.as_str(),
                    "created_at": token.created_at.0, "last_used_at": token.last_used_at.map(|at| at.0),
                    "expires_at": token.expires_at.map(|at| at.0),
                })
            };
            print(json, &json!(tokens.iter().map(row).collect::<Vec<_>>()), || {
                let line = |token: &TokenInfo| {
                    let (used, ends) = (day(token.last_used_at), day(token.expires_at));
                    format!(
                        "{}  {:6}  used {used:10}  until {ends:10}  {}",
                        token.id,
                        token.role.as_str(),
                        token.name
                    )
                };
                tokens.iter().map(line).collect::<Vec<_>>().join("\n")
            });
        }
        TokenCommand::Revoke { id } => {
            ensure!(store.revoke_token(&who::actor(), id).await?, "there is no token {id}");
            print(json, &json!({ "revoked": id.to_string() }), || format!("revoked {id}"));
        }
    }
    store.close().await;
    Ok(())
}

/// The password that standard input holds, as it is kept.
async fn read_password(name: &str) -> anyhow::Result<String> {
    let mut password = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut password)
        .context("cannot read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if let Err((_, why)) = dashboard::check_credentials(name, &password) {
        bail!("{why}");
    }
    Ok(dashboard::hash_password(password).await?)
}

pub(super) async fn user(command: UserCommand, config: &Config, json: bool) -> anyhow::Result<()> {
    // Before the database is made: a wrong password makes none.
    let hash = match &command {
        UserCommand::Add { name, .. } | UserCommand::Password { name, .. } => read_password(name).await?,
        _ => String::new(),
    };
    let store = open(config, matches!(command, UserCommand::Add { .. })).await?;
    let by = who::actor();
    match command {
        UserCommand::Add { name, role, password_stdin: _ } => {
            if !store.add_person(&by, &name, role.into(), &hash).await? {
                bail!("there is a user named \"{name}\" already");
            }
            print(json, &json!({ "name": name }), || format!("added {name}"));
        }
        UserCommand::List => {
            let people = store.people().await?;
            let row = |person: &PersonInfo| {
                json!({
                    "name": person.name, "role": person.role.as_str(), "two_factor": person.two_factor,
                    "created_at": person.created_at.0, "last_login_at": person.last_login_at.map(|at| at.0),
                })
            };
            print(json, &json!(people.iter().map(row).collect::<Vec<_>>()), || {
                let line = |person: &PersonInfo| {
                    let code = if person.two_factor { "two-factor" } else { "-" };
                    let last = day(person.last_login_at);
                    format!("{:6}  {code:10}  last login {last:10}  {}", person.role.as_str(), person.name)
                };
                people.iter().map(line).collect::<Vec<_>>().join("\n")
            });
        }
        UserCommand::Password { name, password_stdin: _ } => {
            store.change_person(&by, &name, None, Some(&hash), None).await??;
            print(json, &json!({ "name": name }), || format!("{name} has a new password"));
        }
        UserCommand::Role { name, role } => {
            let role = store::Role::from(role);
            store.change_person(&by, &name, Some(role), None, None).await??;
            let role = role.as_str();
            print(json, &json!({ "name": name, "role": role }), || format!("{name} is {role} now"));
        }
        UserCommand::Remove { name } => {
            store.remove_person(&by, &name).await??;
            print(json, &json!({ "removed": name }), || format!("removed {name}"));
        }
        UserCommand::ResetTwoFactor { name } => {
            let done = store.remove_two_factor(&by, &name).await?;
            ensure!(done, "{name} has no two-factor login");
            print(json, &json!({ "name": name }), || format!("{name} logs in with the password alone now"));
        }
    }
    store.close().await;
    Ok(())
}
