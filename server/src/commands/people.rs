use std::io::Read as _;

use anyhow::{Context as _, bail};
use protocol::KeyHash;
use serde_json::json;

use super::{open, print, who};
use crate::cli::{TokenCommand, UserCommand};
use crate::config::Config;

pub(super) async fn token(command: TokenCommand, config: &Config, json: bool) -> anyhow::Result<()> {
    let TokenCommand::Create { role, name } = command;
    let store = open(config, true).await?;
    let token = format!("ocwt_{}", protocol::new_secret());
    store.add_token(&who::actor(), &KeyHash::of(token.as_bytes()), role.into(), &name).await?;
    print(json, &json!({ "token": token }), || {
        format!(
            "The token is shown now and never again. Send it as `Authorization: Bearer TOKEN`:\n\n    {token}\n"
        )
    });
    store.close().await;
    Ok(())
}

pub(super) async fn user(command: UserCommand, config: &Config, json: bool) -> anyhow::Result<()> {
    let UserCommand::Add { name, role, password_stdin: _ } = command;
    let mut password = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut password)
        .context("cannot read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if let Err((_, why)) = dashboard::check_credentials(&name, &password) {
        bail!("{why}");
    }
    let store = open(config, true).await?;
    let hash = dashboard::hash_password(password).await?;
    if !store.add_person(&who::actor(), &name, role.into(), &hash).await? {
        bail!("there is a user named \"{name}\" already");
    }
    print(json, &json!({ "name": name }), || format!("added {name}"));
    store.close().await;
    Ok(())
}
