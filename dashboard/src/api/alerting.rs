use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use store::{AlertingSettings, Digest, QuietHours};

use super::pauses::{time_of_day, zone};
use super::rules::channels;
use crate::App;
use crate::alerting_views::{AlertingView, DigestView, QuietHoursView};
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;

const MAX_URL: usize = 200;

fn view(settings: AlertingSettings, rev: i64) -> AlertingView {
    AlertingView {
        zone: settings.zone,
        url: settings.url,
        quiet: settings.quiet.map(|quiet| QuietHoursView {
            from: quiet.from.into(),
            to: quiet.to.into(),
            passes: quiet.passes,
        }),
        digest: settings.digest.map(|digest| DigestView {
            every: digest.every,
            at: digest.at.into(),
            channels: digest.channels,
        }),
        rev,
    }
}

/// An address of a page, without what would make links to it something else.
fn url(text: &str) -> Result<String, ApiError> {
    let text = text.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '\'' | '<' | '>' | '\\');
    let fine = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && host.chars().all(plain));
    if text.is_empty() || (fine && text.len() <= MAX_URL) {
        return Ok(text.to_owned());
    }
    Err(ApiError::invalid(
        "url",
        "An address looks like https://watch.example.org; leave it empty for no links.",
    ))
}

/// What holds for all rules
///
/// Time zone, quiet hours, digest, and the address that notifications link to.
#[utoipa::path(
    get,
    path = "/alerting",
    operation_id = "show_alerting",
    tag = "rules",
    responses((status = 200, description = "The settings.", body = AlertingView))
)]
pub(super) async fn show(State(app): State<App>, _: Viewer) -> Result<Json<AlertingView>, ApiError> {
    let (settings, rev) = app.store.alerting_settings().await?;
    Ok(Json(view(settings, rev)))
}

/// Change what holds for all rules
///
/// All of it at once; `rev` is the one that was looked at.
#[utoipa::path(
    put,
    path = "/alerting",
    operation_id = "change_alerting",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = AlertingView,
    responses((status = 200, description = "The settings as they are now.", body = AlertingView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    new: Result<Json<AlertingView>, JsonRejection>,
) -> Result<Json<AlertingView>, ApiError> {
    let Json(new) = new?;
    let (before, _) = app.store.alerting_settings().await?;
    let quiet = |quiet: QuietHoursView| -> Result<QuietHours, ApiError> {
        Ok(QuietHours {
            from: time_of_day("quiet", &quiet.from)?,
            to: time_of_day("quiet", &quiet.to)?,
            passes: quiet.passes,
        })
    };
    let digest = match new.digest {
        Some(digest) => {
            let before = before.digest.map(|digest| digest.channels).unwrap_or_default();
            channels(&app, "digest", &digest.channels, &before).await?;
            if digest.channels.is_empty() {
                return Err(ApiError::invalid("digest", "Name at least one channel."));
            }
            let at = time_of_day("digest", &digest.at)?;
            Some(Digest { every: digest.every, at, channels: digest.channels })
        }
        None => None,
    };
    let settings = AlertingSettings {
        zone: if new.zone.is_empty() { String::new() } else { zone(&new.zone)? },
        url: url(&new.url)?,
        quiet: new.quiet.map(quiet).transpose()?,
        digest,
    };
    let rev = app.store.change_alerting_settings(&by, new.rev, &settings).await??;
    Ok(Json(view(settings, rev)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_a_page() {
        assert_eq!(url(" https://watch.example.org/ ").unwrap(), "https://watch.example.org");
        assert_eq!(url("http://192.0.2.1:38888/watch").unwrap(), "http://192.0.2.1:38888/watch");
        assert_eq!(url("").unwrap(), "");
        for wrong in [
            "watch.example.org",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://a b",
            "https://me@x",
            "https://x/?a#b",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
