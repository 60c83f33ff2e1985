//! Who is asking. A handler with [`Viewer`] or [`Admin`] in its signature is closed to everybody else; one without
//! is visibly public.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use protocol::KeyHash;
use store::{Actor, Role};

use crate::App;
use crate::error::ApiError;
use crate::lock;
use crate::totp::{self, Typed};

const COOKIE: &str = "ocw_login";
/// Under TLS. A name of its own: a browser does not let plain HTTP on the same host replace a secure cookie.
const SECURE_COOKIE: &str = "__Host-ocw_login";
const CSRF: &str = "x-csrf-token";

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) tls: bool,
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "No peer address.");
        parts.extensions.get::<Self>().copied().ok_or_else(missing)
    }
}

/// Somebody who may look.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
    pub(crate) csrf: Option<String>,
    pub(crate) proof: Proof,
    /// What a token is called.
    pub(crate) token: Option<String>,
}

impl Viewer {
    /// Who they are, for the audit log.
    pub(crate) fn actor(&self, peer: Peer) -> Actor {
        match &self.name {
            Some(name) => Actor::user(name.clone(), peer.address),
            None => Actor::token(self.token.clone().unwrap_or_default(), peer.address),
        }
    }
}

/// What was shown.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    Cookie(KeyHash),
    Token(KeyHash),
}

/// Somebody who may change things, as the audit log calls them.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Actor);

impl FromRequestParts<App> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let viewer = authenticate(&parts.headers, app).await?.ok_or_else(ApiError::unauthenticated)?;
        // A browser sends its cookie whoever asks it to: what changes something must show that our page asked.
        let harmless = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if let (Some(csrf), false) = (&viewer.csrf, harmless) {
            let shown = parts.headers.get(CSRF).map(|value| KeyHash::of(value.as_bytes()));
            if !shown.is_some_and(|shown| shown.matches(&KeyHash::of(csrf.as_bytes()))) {
                return Err(ApiError::new(StatusCode::FORBIDDEN, "csrf", "Reload the page and try again."));
            }
        }
        Ok(viewer)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        let peer = Peer::from_request_parts(parts, app).await?;
        if viewer.role == Role::Admin { Ok(Self(viewer.actor(peer))) } else { Err(ApiError::forbidden()) }
    }
}

/// Somebody who is signed in at a page: a token has no password and no second factor.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    /// Their login.
    pub(crate) cookie: KeyHash,
    /// As the audit log calls them.
    pub(crate) by: Actor,
}

impl FromRequestParts<App> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        let by = viewer.actor(Peer::from_request_parts(parts, app).await?);
        match (viewer.name, viewer.proof) {
            (Some(name), Proof::Cookie(cookie)) => Ok(Self { name, cookie, by }),
            _ => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "not_a_person",
                "This is about one's own account; a token has none. Log in at the page.",
            )),
        }
    }
}

/// Whoever is asking, `None` when nobody said.
pub(crate) async fn authenticate(headers: &HeaderMap, app: &App) -> Result<Option<Viewer>, ApiError> {
    // Another scheme is a proxy's business, not ours.
    if let Some(token) = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(bearer) {
        let hash = KeyHash::of(token.as_bytes());
        let (role, name) = app.store.token(&hash).await?.ok_or_else(ApiError::unauthenticated)?;
        return Ok(Some(Viewer {
            name: None,
            role,
            csrf: None,
            proof: Proof::Token(hash),
            token: Some(name),
        }));
    }
    let jar = CookieJar::from_headers(headers);
    for cookie in [SECURE_COOKIE, COOKIE].into_iter().filter_map(|name| jar.get(name)) {
        let hash = KeyHash::of(cookie.value().as_bytes());
        if let Some(login) = app.store.login(&hash).await? {
            return Ok(Some(Viewer {
                name: Some(login.person),
                role: login.role,
                csrf: Some(login.csrf),
                proof: Proof::Cookie(hash),
                token: None,
            }));
        }
    }
    Ok(None)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether what was shown is still good.
pub(crate) async fn still_good(proof: &Proof, app: &App) -> bool {
    match proof {
        Proof::Cookie(hash) => !matches!(app.store.login(hash).await, Ok(None)),
        Proof::Token(hash) => !matches!(app.store.token(hash).await, Ok(None)),
    }
}

/// Signs somebody in who has shown the password of this hash: remembers the login and gives the cookie. `None` when the password
/// was changed meanwhile, or the person removed: whoever did that wants no login by the old one.
pub(crate) async fn sign_in(
    app: &App,
    peer: Peer,
    person: &str,
    password_hash: &str,
) -> Result<Option<(Cookie<'static>, String)>, ApiError> {
    let (secret, csrf) = (protocol::new_secret(), protocol::new_secret());
    let hours = app.config.login_hours;
    let until = app.store.clock().now().plus_millis(i64::from(hours) * 3_600_000);
    let by = Actor::user(person, peer.address);
    let hash = KeyHash::of(secret.as_bytes());
    let added = app.store.add_login(&by, &hash, person, password_hash, &csrf, until).await?;
    Ok(added.then(|| (cookie(secret, peer, i64::from(hours) * 3600), csrf)))
}

/// A cookie that ends the one before.
pub(crate) fn end_cookie(peer: Peer) -> Cookie<'static> {
    cookie(String::new(), peer, 0)
}

fn cookie(value: String, peer: Peer, seconds: i64) -> Cookie<'static> {
    Cookie::build((if peer.tls { SECURE_COOKIE } else { COOKIE }, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(peer.tls)
        .max_age(time::Duration::seconds(seconds))
        .build()
}

/// Hashes a password (Argon2id), as a PHC string. Slow on purpose, so it runs beside the runtime.
pub async fn hash_password(password: String) -> Result<String, PasswordError> {
    let hash = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    });
    hash.await.ok().and_then(Result::ok).ok_or(PasswordError)
}

/// A password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct PasswordError;

/// Why a name or password cannot be one: the field, and what to do.
pub fn check_credentials(name: &str, password: &str) -> Result<(), (&'static str, &'static str)> {
    let name_ok = (1..=64).contains(&name.chars().count())
        && !name.chars().any(|c| store::unseen(c) || c.is_whitespace())
        // In an address these are no names: whoever had one could not be changed any more.
        && !matches!(name, "." | "..");
    if !name_ok {
        return Err((
            "name",
            "A name has 1 to 64 characters that can be seen, no spaces, and not only dots.",
        ));
    }
    if password.chars().count() < 12 {
        return Err(("password", "A password has at least 12 characters."));
    }
    if password.len() > 1024 {
        return Err(("password", "A password has at most 1024 bytes."));
    }
    Ok(())
}

/// The hash of the person's password if this is it. Takes as long for somebody who is not there.
pub(crate) async fn verify(app: &App, name: &str, password: String) -> Result<Option<String>, ApiError> {
    let known = app.store.person(name).await?.map(|(hash, _)| hash);
    let hash = known.clone().unwrap_or_else(|| DUMMY.to_owned());
    // Bounded: each takes 19 MiB and a good part of a second of one core.
    let Ok(_place) = app.waiting_room.try_acquire() else { return Err(ApiError::too_many(5)) };
    let Ok(turn) = app.passwords.clone().acquire_owned().await else { return Ok(None) };
    let matching = tokio::task::spawn_blocking(move || {
        // Goes with the work: a client that hangs up ends its request, but not this.
        let _turn = turn;
        PasswordHash::new(&hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    let matches = matching.await.unwrap_or(false);
    Ok(known.filter(|_| matches))
}

/// Whether a code of the person's app, or a recovery code, is right. Uses it up. True of an app that is to be confirmed, too.
pub(crate) async fn check_code(app: &App, by: &Actor, name: &str, code: &str) -> Result<bool, ApiError> {
    match totp::typed(code) {
        Typed::Code(code) => {
            let Some(known) = app.store.two_factor(name).await? else { return Ok(false) };
            match totp::step_of(&known.secret, &code, app.store.clock().now()) {
                Some(step) => Ok(app.store.use_step(name, step).await?),
                None => Ok(false),
            }
        }
        Typed::Recovery(plain) => {
            Ok(app.store.use_recovery_code(by, name, &totp::recovery_hash(&plain)).await?)
        }
    }
}

/// Nobody's password, with today's parameters.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Attempts by address (of IPv6 the /64, which one host owns) and by what was tried. Bounded: when it is full, the
/// one whose window began first is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Tried, (u32, Instant)>>);

/// What somebody tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tried {
    address: IpAddr,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum What {
    SetUp,
    LogIn(String),
    /// The second factor. By itself: a right password must not forgive guessed codes, nor a code guessed passwords.
    Code(String),
    /// Under whatever name.
    AnyLogIn,
}

const WINDOW: Duration = Duration::from_mins(5);
const MAX_TRIED: usize = 10_000;

impl Tried {
    pub(crate) fn set_up(peer: Peer) -> Self {
        Self { address: subnet(peer.address), what: What::SetUp }
    }

    pub(crate) fn any_log_in(peer: Peer) -> Self {
        Self { address: subnet(peer.address), what: What::AnyLogIn }
    }

    pub(crate) fn log_in(peer: Peer, name: &str) -> Self {
        Self { address: subnet(peer.address), what: What::LogIn(name.chars().take(64).collect()) }
    }

    pub(crate) fn code(peer: Peer, name: &str) -> Self {
        Self { address: subnet(peer.address), what: What::Code(name.chars().take(64).collect()) }
    }
}

fn subnet(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

impl Attempts {
    /// Counts an attempt; how many seconds to wait if there were too many.
    pub(crate) fn count(&self, tried: &Tried, limit: u32, now: Instant) -> Result<(), u64> {
        let mut all = lock(&self.0);
        if all.len() >= MAX_TRIED && !all.contains_key(tried) {
            all.retain(|_, (_, since)| now.saturating_duration_since(*since) < WINDOW);
            if all.len() >= MAX_TRIED
                && let Some(oldest) = all.iter().min_by_key(|(_, (_, since))| *since).map(|(t, _)| t.clone())
            {
                all.remove(&oldest);
            }
        }
        let (failed, since) = all.entry(tried.clone()).or_insert((0, now));
        let passed = now.saturating_duration_since(*since);
        if passed >= WINDOW {
            (*failed, *since) = (0, now);
        }
        if *failed >= limit {
            return Err(WINDOW.saturating_sub(passed).as_secs().max(1));
        }
        *failed += 1;
        Ok(())
    }

    /// It was right: what was tried before under the same name is forgiven, and nothing else.
    pub(crate) fn forget(&self, tried: &Tried) {
        lock(&self.0).remove(tried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer { address: address.parse().unwrap(), tls: false }
    }

    #[test]
    fn an_address_that_guesses_must_wait() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let guess = Tried::log_in(peer("203.0.113.9"), "admin");
        for _ in 0..10 {
            assert_eq!(attempts.count(&guess, 10, start), Ok(()));
        }
        assert_eq!(attempts.count(&guess, 10, start + Duration::from_mins(1)), Err(240));
        // Another account of the same address opens no door, and neither does a failed set-up close one.
        let own = Tried::log_in(peer("203.0.113.9"), "viewer");
        assert_eq!(attempts.count(&own, 10, start), Ok(()));
        attempts.forget(&own);
        assert!(attempts.count(&guess, 10, start).is_err());
        assert_eq!(attempts.count(&Tried::set_up(peer("203.0.113.9")), 10, start), Ok(()));
        assert_eq!(attempts.count(&Tried::log_in(peer("203.0.113.10"), "admin"), 10, start), Ok(()));
        assert_eq!(attempts.count(&guess, 10, start + WINDOW), Ok(()));
        assert_eq!(Tried::set_up(peer("2001:db8::1")), Tried::set_up(peer("2001:db8::2")));
    }

    #[test]
    fn a_full_table_forgets_the_oldest_only() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let blocked = Tried::log_in(peer("203.0.113.9"), "admin");
        attempts.count(&Tried::set_up(peer("198.51.100.1")), 1, start).unwrap();
        attempts.count(&blocked, 1, start + Duration::from_secs(1)).unwrap();
        for n in 0..u32::try_from(MAX_TRIED).unwrap() - 1 {
            let other = Tried::set_up(peer(&std::net::Ipv4Addr::from(n).to_string()));
            attempts.count(&other, 1, start + Duration::from_secs(2)).unwrap();
        }
        assert!(attempts.count(&blocked, 1, start + Duration::from_secs(3)).is_err());
    }

    #[test]
    fn only_a_bearer_token_is_looked_at() {
        assert_eq!(bearer("Bearer x"), Some("x"));
        assert_eq!(bearer("bearer x "), Some("x"));
        assert_eq!(bearer("Basic eDp5"), None);
        assert_eq!(bearer("Bearer"), None);
    }

    #[test]
    fn a_name_can_be_seen_and_stands_in_an_address() {
        for name in ["ann", "Zoë", "小林", "a/b?c", "..."] {
            assert_eq!(check_credentials(name, "correct horse battery"), Ok(()), "{name}");
        }
        for name in [
            "",
            " ",
            "a b",
            "a\u{3000}b",
            "a\0b",
            ".",
            "..",
            "admin\u{200b}",
            "\u{202e}nimda",
            &"a".repeat(65),
        ] {
            let refused = check_credentials(name, "correct horse battery").unwrap_err();
            assert_eq!(refused.0, "name", "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_password_is_hashed_with_argon2id() {
        let hash = hash_password("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(PasswordHash::new(DUMMY).is_ok());
    }
}
