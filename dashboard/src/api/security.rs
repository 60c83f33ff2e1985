use axum::Json;
use axum::extract::State;
use protocol::{Audit, Finding, FindingSeverity, Timestamp};
use serde::Serialize;
use store::Device;
use utoipa::ToSchema;

use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::openapi::words;
use crate::views::rfc3339;

/// How safe a device was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct SecurityView {
    pub(crate) device: String,
    pub(crate) device_name: String,
    /// When that was; null when nothing was told yet.
    #[schema(format = DateTime)]
    pub(crate) at: Option<String>,
    /// What OpenClaw's own audits and the agent found.
    pub(crate) findings: Vec<FindingView>,
    /// Audits of OpenClaw that could not be made.
    pub(crate) failed: Vec<FailedAuditView>,
}

/// Something that makes a device less safe.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FindingView {
    /// Whose audit found it; null for what the agent saw from outside.
    pub(crate) gateway: Option<String>,
    /// What was looked at; the same on all devices.
    pub(crate) check: String,
    #[cfg_attr(test, ts(type = "\"info\" | \"warning\" | \"critical\" | \"unknown\""))]
    #[schema(schema_with = words::finding_severity)]
    pub(crate) severity: &'static str,
    pub(crate) title: String,
    pub(crate) detail: Option<String>,
    /// What to do about it.
    pub(crate) remediation: Option<String>,
}

/// An audit that could not be made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FailedAuditView {
    pub(crate) gateway: String,
    pub(crate) error: String,
}

impl FindingView {
    fn of(finding: Finding, gateway: Option<&str>) -> Self {
        Self {
            gateway: gateway.map(str::to_owned),
            check: finding.check,
            severity: match finding.severity {
                FindingSeverity::Info => "info",
                FindingSeverity::Warning => "warning",
                FindingSeverity::Critical => "critical",
                FindingSeverity::Unknown => "unknown",
            },
            title: finding.title,
            detail: finding.detail,
            remediation: finding.remediation,
        }
    }
}

impl SecurityView {
    fn of(device: &Device, audit: Option<(Timestamp, Audit)>) -> Self {
        let mut view = Self {
            device: device.id.to_string(),
            device_name: device.name.clone(),
            at: audit.as_ref().map(|(at, _)| rfc3339(*at)),
            findings: Vec::new(),
            failed: Vec::new(),
        };
        let Some((_, audit)) = audit else { return view };
        for of_gateway in audit.audits {
            let gateway = of_gateway.gateway;
            let found = of_gateway.findings.into_iter();
            view.findings.extend(found.map(|finding| FindingView::of(finding, Some(&gateway))));
            view.failed.extend(of_gateway.error.map(|error| FailedAuditView { gateway, error }));
        }
        view.findings.extend(audit.findings.into_iter().map(|finding| FindingView::of(finding, None)));
        view
    }
}

/// How safe devices are
///
/// Of each device what its last security audit found, and what its agent saw from outside; devices by name, also those of
/// which nothing is known.
#[utoipa::path(
    get,
    path = "/security",
    operation_id = "list_findings",
    tag = "security",
    responses((status = 200, description = "The devices.", body = [SecurityView]))
)]
pub(super) async fn list(State(app): State<App>, _: Viewer) -> Result<Json<Vec<SecurityView>>, ApiError> {
    let mut audits = app.store.audits().await?;
    let devices = app.store.devices();
    Ok(Json(devices.iter().map(|device| SecurityView::of(device, audits.remove(&device.id))).collect()))
}
