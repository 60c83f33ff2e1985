use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::print;
use crate::config::Config;
use crate::data_dir;

const PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn run(config: &Config, json: bool) -> anyhow::Result<()> {
    let (well, answer) = answer(config)?;
    print(json, &answer, || answer.to_string());
    if well { Ok(()) } else { bail!("the server says that it is not well") }
}

/// Whether the running server is well, and what it says.
pub(super) fn answer(config: &Config) -> anyhow::Result<(bool, serde_json::Value)> {
    let addresses = data_dir::read_addresses(&config.data_dir)
        .with_context(|| format!("no server runs on {}", config.data_dir.display()))?;
    let address: SocketAddr = addresses.dashboard.parse().context("addresses.json is not valid")?;
    let answer = ask(address).with_context(|| format!("the server does not answer on {address}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the server's answer is not HTTP")?;
    let well = head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200");
    Ok((well, serde_json::from_str(body).unwrap_or_default()))
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}
