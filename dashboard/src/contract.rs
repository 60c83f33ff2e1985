//! Holds the API to its own description: what stands in it is well formed, asked for the right role, and really answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::{Router, body};
use protocol::{Clock, DeviceId, KeyHash, Payload, Timestamp, TopicRoot};
use serde_json::{Value, json};
use store::{
    Actor, ChannelBody, ChannelDraft, DeviceKind, Fact, NewDelivery, NewKey, PauseBody, PauseKind, Record,
    RetainedRow, Role, RuleBody, Said, Scope, Severity, Store, Telling, When,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::auth::Peer;
use crate::openapi::DOCUMENT;
use crate::totp;
use crate::{
    Alerting, Attempt, BackupCopy, BackupHealth, BackupRunning, BackupState, Backups, ChannelField,
    ChannelKind, ChannelTrouble, Config, Dashboard, DatabaseHealth, DryMoment, DryRun, DrySeries,
    FieldProblem, Health, Invitation, Later, Neighbours, NoDryRun, RuleField, RuleKind, Tried, api,
};

/// A little after the golden messages.
const NOW: Timestamp = Timestamp(1_795_160_000_000);
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// There is one copy, and another can be made.
struct OneCopy;

impl Backups for OneCopy {
    fn show(&self) -> BackupState {
        let copies = vec![BackupCopy { file: "copy".to_owned(), at: NOW, bytes: 1 }];
        let last = Some((NOW, Some("the disk is full".to_owned())));
        BackupState { folder: "copies".to_owned(), every_h: 24, keep: 7, copies, last, running: false }
    }

    fn make(&self) -> Result<(), BackupRunning> {
        Ok(())
    }
}

/// One kind of rule of each sort can be judged, and there is one way to tell people.
struct FewKinds;

/// The secret that the channel of the tests has.
pub(crate) const CHANNEL_SECRET: &str = "told-to-nobody";

fn said(text: &str) -> Said {
    Said { en: text.to_owned(), zh: text.to_owned() }
}

fn a_body(values: &Value) -> RuleBody {
    serde_json::from_value(json!({ "values": values, "severity": "warning" })).unwrap()
}

fn a_field(word: &'static str, unit: &'static str, choices: Vec<(Value, Option<Said>)>) -> RuleField {
    RuleField { word, label: said(word), unit, choices, min: 1.0, max: 100.0, optional: word == "clear" }
}

impl Alerting for FewKinds {
    fn rule_kinds(&self) -> Vec<RuleKind> {
        let kind = |word, sentence: &str, of, levels, fields, values| RuleKind {
            word,
            name: said(word),
            sentence: said(sentence),
            of,
            lasts: levels,
            levels,
            dry_run: of == "device",
            fields,
            default: a_body(&values),
            default_on: true,
        };
        let what = vec![(json!("down"), Some(said("down"))), (json!("hung"), Some(said("hung")))];
        let levels = vec![
            a_field("level", "percent", vec![(json!(80), None), (json!(90), None)]),
            a_field("clear", "percent", vec![]),
        ];
        vec![
            kind(
                "cpu",
                "When the CPU of {scope} is above {level} for {for}",
                "device",
                true,
                levels,
                json!({ "level": 90, "clear": 80 }),
            ),
            kind(
                "gateway",
                "When a gateway of {scope} is {what}",
                "fleet",
                false,
                vec![a_field("what", "word", what)],
                json!({ "what": "down" }),
            ),
            kind(
                "backup",
                "When the last copy of the database has failed",
                "server",
                false,
                vec![],
                json!({}),
            ),
        ]
    }

    fn check_rule(&self, kind: &str, body: &RuleBody) -> Vec<FieldProblem> {
        let number = |word: &str| body.values.get(word).and_then(Value::as_f64);
        let fine = kind != "cpu" || number("level").is_some_and(|level| (1.0..=100.0).contains(&level));
        let problem = FieldProblem { field: "level".to_owned(), message: "1 to 100 %.".to_owned() };
        if fine { vec![] } else { vec![problem] }
    }

    fn dry_run<'a>(
        &'a self,
        kind: &'a str,
        _: &'a RuleBody,
        days: u32,
    ) -> Later<'a, Result<DryRun, NoDryRun>> {
        let device = || (DeviceId::parse("aaaaaaaaaaaa").unwrap(), "one".to_owned());
        let moment = DryMoment {
            device: Some(device()),
            from: NOW.plus_millis(-60_000),
            to: None,
            severity: Severity::Error,
            title: said("high"),
        };
        let run = DryRun {
            from: NOW.plus_millis(-86_400_000 * i64::from(days)),
            to: NOW,
            moments: vec![moment],
            count: 1,
            devices: 1,
            longest_ms: Some(60_000),
            series: Some(DrySeries { device: device(), at: vec![NOW, NOW], values: vec![Some(1.5), None] }),
            judged_devices: 1,
        };
        Box::pin(async move { if kind == "cpu" { Ok(run) } else { Err(NoDryRun::NotStored) } })
    }

    fn channel_kinds(&self) -> Vec<ChannelKind> {
        let field = |word, kind, required| ChannelField {
            word,
            label: said(word),
            help: Some(said("look there")),
            placeholder: "",
            kind,
            choices: if kind == "choice" {
                vec![("post", said("POST")), ("put", said("PUT"))]
            } else {
                vec![]
            },
            range: (kind == "number").then_some((1, 60)),
            required,
            default: "",
        };
        let fields = vec![
            field("url", "url", true),
            field("token", "secret", true),
            field("method", "choice", false),
            field("timeout", "number", false),
        ];
        vec![ChannelKind { word: "webhook", name: said("Webhook"), help: said("An address."), fields }]
    }

    fn check_channel(&self, _: &str, settings: &BTreeMap<String, Value>) -> Vec<FieldProblem> {
        let missing = |word: &&str| !settings.get(*word).is_some_and(Value::is_string);
        let problem = |word: &str| FieldProblem { field: word.to_owned(), message: "Missing.".to_owned() };
        ["url", "token"].into_iter().filter(missing).map(problem).collect()
    }

    fn try_channel<'a>(
        &'a self,
        _: &'a str,
        settings: &'a BTreeMap<String, Value>,
        _: &'a str,
    ) -> Later<'a, Tried> {
        let ok = settings.get("token").and_then(Value::as_str) == Some(CHANNEL_SECRET);
        Box::pin(async move { Tried { ok, answer: "said".to_owned(), took_ms: 1 } })
    }

    fn channel_troubles(&self) -> BTreeMap<String, ChannelTrouble> {
        BTreeMap::new()
    }
}

/// A store with one device of which everything is known, behind the whole router.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) store: Store,
    router: Router,
    pub(crate) device: DeviceId,
    pub(crate) channel: String,
    fingerprint: String,
    setup: String,
    pub(crate) viewer: String,
    pub(crate) admin: String,
}

fn golden<P: Payload>(name: &str) -> P {
    let path = format!("{}/../protocol/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    P::decode(&std::fs::read(path).unwrap()).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let settings = store::Config {
            data_dir: dir.path().join("data"),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 2,
        };
        let store = Store::open(settings, Clock::manual(NOW)).await.unwrap();
        let tags = ["lab".to_owned()];
        let by = Actor::cli("tester");
        let device = store.add_device(&by, "one", &tags, DeviceKind::Agent).await.unwrap().unwrap().0;
        let full: protocol::Report = golden("report-openclaw");
        let retained = RetainedRow {
            topic: format!("openclaw/{device}/report"),
            payload: full.encode().into(),
            qos: protocol::Qos::AtLeastOnce,
            properties: bytes::Bytes::new(),
            at: NOW,
        };
        let log: protocol::Log = golden("log-full");
        let fingerprint = log.records[0].fingerprint.clone();
        let facts = [
            Fact::Presence(device, Box::new(golden("presence-birth"))),
            Fact::Report(device, Box::new(full)),
            Fact::Report(device, Box::new(golden("report-full"))),
            Fact::Usage(device, Box::new(golden("usage-full"))),
            Fact::Log(device, Box::new(log)),
            Fact::Events(device, Box::new(golden("event-full"))),
            Fact::Audit(device, Box::new(golden("audit-full"))),
            Fact::Nothing,
        ];
        let record = |fact| {
            let retain = matches!(fact, Fact::Nothing).then(|| retained.clone());
            Record { received_at: NOW, fact, retain }
        };
        store.record(&facts.map(record)).await.unwrap();
        let telling =
            Telling { severity: Severity::Error, title: said("down"), detail: Some(said("crashed")) };
        store.fire_alert(Some(device), "gateway_down", &telling).await.unwrap();
        let rule = a_body(&json!({ "level": 90, "clear": 80 }));
        store.add_rule(&by, "cpu", true, &rule).await.unwrap().unwrap();
        let channel = ChannelDraft {
            name: "ours".to_owned(),
            enabled: true,
            body: ChannelBody {
                settings: BTreeMap::from([("url".to_owned(), json!("https://hooks.example.org/x"))]),
                language: "en".to_owned(),
                least: Severity::Info,
                takes_all: true,
                always: false,
            },
            secrets: BTreeMap::from([("token".to_owned(), CHANNEL_SECRET.to_owned())]),
        };
        let channel = store.add_channel(&by, "webhook", &channel).await.unwrap().unwrap().id;
        let told = NewDelivery {
            id: "d1".to_owned(),
            channel: channel.clone(),
            occasion: "fired",
            body: json!({ "title": said("down"), "device": { "name": "one" } }).to_string(),
            due_at: NOW,
            held: None,
        };
        store.add_deliveries(&[told]).await.unwrap();
        let attempt = store::Attempt { at: NOW, took_ms: 12, ok: false, answer: "503".to_owned() };
        let again = store::AfterAttempt::Again(NOW.plus_millis(60_000));
        store.note_attempt(1, &attempt, &again).await.unwrap();
        let pause = PauseBody {
            scope: Scope { devices: vec![device], tags: vec![] },
            rules: vec![],
            when: When::Once { from: NOW, to: NOW.plus_millis(3_600_000) },
            note: "a test".to_owned(),
        };
        store.add_pause(&by, PauseKind::Silence, &pause).await.unwrap().unwrap();
        let mut tokens = Vec::new();
        for role in [Role::Viewer, Role::Admin] {
            let token = protocol::new_secret();
            store.add_token(&by, &KeyHash::of(token.as_bytes()), role, "test", None).await.unwrap();
            tokens.push(token);
        }
        let setup = protocol::new_secret();
        let dashboard = Dashboard::bind(
            Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() },
            store.clone(),
            None,
            Invitation {
                port: 1,
                pin: None,
                public_host: None,
                fallback_host: "watch.example.net".to_owned(),
            },
            Some(KeyHash::of(setup.as_bytes())),
            Neighbours {
                health: Arc::new(|| Health {
                    engine_alive: true,
                    recorder_failing_since: None,
                    trouble: None,
                    disk_free_bytes: None,
                    database: DatabaseHealth::Ok,
                    backup: BackupHealth::Off,
                }),
                counters: Arc::new(Vec::new),
                attempts: Arc::new(move || {
                    vec![Attempt {
                        at: NOW,
                        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                        outcome: "unknown_key",
                        device: Some(device),
                        detail: Some("incomplete".into()),
                        client: "tcp",
                        count: 2,
                    }]
                }),
                backups: Arc::new(OneCopy),
                alerting: Arc::new(FewKinds),
                keep: store::Keep::default(),
                min_free_bytes: 0,
            },
            CancellationToken::new(),
        );
        let router = api::routes(dashboard.await.unwrap().app);
        let (admin, viewer) = (tokens.pop().unwrap(), tokens.pop().unwrap());
        Self { dir, store, router, device, channel, fingerprint, setup, viewer, admin }
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let answer = self.send(method, path, token, body).await;
        let status = answer.status();
        let bytes = body::to_bytes(answer.into_body(), 1 << 22).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Response<Body> {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut request = Request::builder().method(method).uri(path);
        request = match token {
            Some(LOGIN) => {
                request.header(header::COOKIE, format!("ocw_login={LOGIN}")).header("x-csrf-token", "csrf")
            }
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: false });
        self.router.clone().call(request).await.unwrap()
    }

    /// The database file, for a test that breaks it.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("data/openclaw-watch.sqlite")
    }

    /// Signs somebody in who is there, as [`LOGIN`].
    pub(crate) async fn sign_in(&self, name: &str) {
        let until = NOW.plus_millis(86_400_000);
        let (by, cookie) = (Actor::cli("tester"), KeyHash::of(LOGIN.as_bytes()));
        if self.store.login(&cookie).await.unwrap().is_none() {
            let (hash, _) = self.store.person(name).await.unwrap().unwrap();
            assert!(self.store.add_login(&by, &cookie, name, &hash, "csrf", until).await.unwrap());
        }
    }

    /// A code of somebody's app: the half minute before, now, or the one after, since each is good once.
    pub(crate) async fn code(&self, name: &str, half_minutes: i64) -> String {
        let known = self.store.two_factor(name).await.unwrap().unwrap();
        totp::code_at(&known.secret, NOW.plus_millis(half_minutes * 30_000))
    }

    /// What an operation is asked with: its path, and a body if it takes one.
    async fn request(&self, operation: &Operation) -> (String, Option<Value>) {
        let by = Actor::cli("tester");
        let id = match operation.id() {
            "revoke_token" => {
                let token = KeyHash::of(b"to be revoked");
                self.store.add_token(&by, &token, Role::Viewer, "gone", None).await.unwrap().to_string()
            }
            "revoke_key" => {
                let reader = NewKey::Reader(vec![]);
                self.store.add_key(&by, "gone", reader).await.unwrap().unwrap().0.to_string()
            }
            "change_user" | "remove_user" => {
                self.store.add_person(&by, "gone", Role::Viewer, "x").await.unwrap();
                String::new()
            }
            "change_channel" | "remove_channel" | "test_channel" => self.channel.clone(),
            _ => self.device.to_string(),
        };
        let path = operation.path.replace("{id}", &id).replace("{name}", "gone");
        let path = path.replace("{no}", "1").replace("{fingerprint}", &self.fingerprint);
        assert!(!path.contains('{'), "{path}: say here what stands for its parameter");
        let path = match operation.id() {
            "show_fleet_at" => format!("{path}?time={PAST}"),
            "show_fleet_trends" => format!("{path}?devices={}", self.device),
            _ => path,
        };
        let person = json!({ "name": PERSON, "password": "correct horse battery" });
        let body = match operation.id() {
            "set_up" => {
                Some(json!({ "token": self.setup, "name": person["name"], "password": person["password"] }))
            }
            "log_in" => Some(person),
            "add_user" => Some(json!({ "name": "bob", "role": "viewer", "password": person["password"] })),
            "change_user" => Some(json!({ "role": "admin" })),
            "change_my_password" => {
                Some(json!({ "old": person["password"], "new": "another horse battery" }))
            }
            "confirm_two_factor" => Some(json!({ "code": self.code(PERSON, -1).await })),
            "renew_recovery_codes" => Some(json!({ "code": self.code(PERSON, 0).await })),
            "remove_two_factor" => Some(json!({ "code": self.code(PERSON, 1).await })),
            "add_token" => {
                Some(json!({ "name": "script", "role": "viewer", "expires_at": "2027-01-01T00:00:00Z" }))
            }
            "add_key" => Some(json!({ "kind": "reader", "name": "home", "devices": [self.device.as_str()] })),
            "rotate_device_key" => Some(json!({ "overlap_h": 1 })),
            "change_status_page" => Some(json!({
                "enabled": true, "title": "Ours", "note": "", "devices": [self.device.as_str()],
                "show_uptime": true, "show_reason": true,
            })),
            "add_device" => Some(json!({ "name": "two", "tags": ["lab"] })),
            "change_device" => Some(json!({ "name": "three" })),
            "change_alert" => Some(json!({ "acknowledged": true })),
            "add_rule" => Some(json!({ "kind": "cpu", "body": {
                "scope": { "devices": [self.device.as_str()], "tags": [] }, "values": { "level": 80 },
                "for_s": 600, "severity": "warning", "channels": [self.channel],
                "steps": [{ "severity": "error", "level": 90 }, { "severity": "critical", "after_s": 1800 }],
            } })),
            "change_rule" => Some(json!({ "rev": 1, "enabled": false })),
            "dry_run_rule" => {
                let body = json!({ "values": { "level": 80 }, "severity": "warning" });
                Some(json!({ "kind": "cpu", "days": 7, "body": body }))
            }
            "add_pause" => Some(json!({ "kind": "maintenance", "when": {
                "type": "weekly", "days": [6], "from": "23:00", "minutes": 120, "zone": "Asia/Shanghai",
            } })),
            "change_pause" => Some(json!({ "rev": 1, "note": "longer" })),
            "change_alerting" => Some(json!({
                "zone": "Asia/Shanghai", "url": "https://watch.example.org",
                "quiet": { "from": "23:00", "to": "08:00", "passes": "critical" },
                "digest": { "every": "week", "at": "09:00", "channels": [self.channel] }, "rev": 1,
            })),
            "add_channel" => Some(json!({
                "kind": "webhook", "name": "theirs", "settings": { "url": "https://hooks.example.org/y" },
                "secrets": { "token": CHANNEL_SECRET }, "language": "zh-CN", "least": "error",
                "takes_all": false,
            })),
            "change_channel" => Some(json!({ "rev": 1, "name": "ours, too" })),
            "test_new_channel" => Some(json!({
                "id": self.channel, "kind": "webhook", "settings": { "url": "https://hooks.example.org/z" },
                "language": "en",
            })),
            "change_error_group" => Some(json!({ "state": "resolved" })),
            id => {
                let takes = operation.value.get("requestBody").is_some();
                assert!(!takes, "{id}: say here with what body it can be asked");
                None
            }
        };
        (path, body)
    }
}

/// The first admin.
const PERSON: &str = "somebody";
/// The cookie of a login, in the place of a token.
pub(crate) const LOGIN: &str = "acookie";
/// A moment at which the world was there.
const PAST: &str = "2026-11-20T07:33:20Z";

struct Operation {
    method: &'static str,
    path: String,
    value: &'static Value,
}

impl Operation {
    fn id(&self) -> &'static str {
        self.value["operationId"].as_str().unwrap()
    }

    /// Who may: nobody in particular, a viewer or an admin.
    fn role(&self) -> Option<&'static str> {
        let security = self.value.get("security").unwrap_or(&DOCUMENT["security"]);
        security[0].as_object().unwrap().get("token").and_then(|roles| roles[0].as_str())
    }

    /// The schema of an answer, `None` for one without a body.
    fn schema(&self, status: StatusCode) -> Option<Value> {
        let answer =
            self.value["responses"].get(status.as_str()).unwrap_or(&self.value["responses"]["default"]);
        let answer = answer
            .get("$ref")
            .map_or(answer, |path| DOCUMENT.pointer(path.as_str().unwrap().trim_start_matches('#')).unwrap());
        answer.pointer("/content/application~1json/schema").cloned()
    }
}

/// All of them: first the one that makes a person, last those that take something away.
fn operations() -> Vec<Operation> {
    let base = DOCUMENT["servers"][0]["url"].as_str().unwrap();
    let mut all = Vec::new();
    for method in METHODS {
        for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
            if let Some(value) = item.get(method) {
                all.push(Operation { method, path: format!("{base}{path}"), value });
            }
        }
    }
    all.sort_by_key(|operation| match operation.id() {
        "set_up" => 0,
        // After what they need.
        "renew_recovery_codes" | "show_status" => 2,
        _ if operation.method == "delete" => 3,
        _ => 1,
    });
    all
}

fn each(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(object) => object.values().for_each(|value| each(value, visit)),
        Value::Array(list) => list.iter().for_each(|value| each(value, visit)),
        _ => {}
    }
}

/// Checks a value against a schema of the document. Fields that it does not tell of are wrong too.
fn check(what: &str, schema: &Value, value: &Value) {
    let mut components = DOCUMENT["components"].clone();
    for (name, schema) in components["schemas"].as_object_mut().unwrap() {
        if name.ends_with("View") && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = json!(false);
        }
    }
    let mut schema = schema.clone();
    schema["components"] = components;
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

#[test]
fn the_document_is_well_formed() {
    assert!(DOCUMENT["openapi"].as_str().unwrap().starts_with("3.1"));
    for field in ["title", "version", "description"] {
        assert!(DOCUMENT["info"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    each(&DOCUMENT, &mut |value| {
        if let Some(path) = value.get("$ref").and_then(Value::as_str) {
            assert!(DOCUMENT.pointer(path.trim_start_matches('#')).is_some(), "{path} leads nowhere");
        }
    });
    let schemes = DOCUMENT["components"]["securitySchemes"].as_object().unwrap();
    let tags: BTreeSet<&str> =
        DOCUMENT["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let (id, value) = (operation.id(), operation.value);
        assert!(ids.insert(id), "{id} is there twice");
        for field in ["summary", "description"] {
            assert!(value[field].as_str().is_some_and(|text| !text.is_empty()), "{id} has no {field}");
        }
        assert!(
            value["tags"].as_array().unwrap().iter().all(|tag| tags.contains(tag.as_str().unwrap())),
            "{id}"
        );
        let parameters = value.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut declared = BTreeSet::new();
        for parameter in &parameters {
            let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            assert!(declared.insert((place, name)), "{id}: {name} is there twice");
            assert!(parameter["schema"].is_object() && parameter["description"].is_string(), "{id}: {name}");
            assert!(place != "path" || parameter["required"] == true, "{id}: {name}");
        }
        let in_path: BTreeSet<_> = operation
            .path
            .split('{')
            .skip(1)
            .filter_map(|rest| Some(("path", rest.split_once('}')?.0)))
            .collect();
        assert_eq!(in_path, declared.into_iter().filter(|(place, _)| *place == "path").collect(), "{id}");
        let answers = value["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with('2')) && answers.contains_key("default"),
            "{id}"
        );
        for way in value.get("security").and_then(Value::as_array).into_iter().flatten() {
            assert!(way.as_object().unwrap().keys().all(|name| schemes.contains_key(name)), "{id}");
        }
    }
    assert!(ids.len() > 10, "the operations are where they were");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_what_it_says_to_whom_it_says() {
    let world = World::new().await;
    let mut answered = BTreeMap::new();
    for operation in operations() {
        let (id, role) = (operation.id(), operation.role());
        if operation.path.contains("/me") {
            world.sign_in(PERSON).await;
        }
        let (path, body) = world.request(&operation).await;
        let ask = async |token| world.ask(operation.method, &path, token, body.as_ref()).await;
        if role.is_some() {
            let (status, answer) = ask(None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{id}");
            check(id, &operation.schema(status).unwrap(), &answer);
        }
        if role == Some("admin") {
            let (status, answer) = ask(Some(&world.viewer)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{id}");
            check(id, &operation.schema(status).unwrap(), &answer);
        }
        let token = match role {
            None => None,
            // A token is nobody.
            Some(_) if operation.path.contains("/me") => Some(LOGIN),
            Some("viewer") => Some(world.viewer.as_str()),
            Some(_) => Some(world.admin.as_str()),
        };
        let (status, answer) = ask(token).await;
        assert!(operation.value["responses"].get(status.as_str()).is_some(), "{id}: {status} {answer}");
        match operation.schema(status) {
            Some(schema) => check(id, &schema, &answer),
            None => assert_eq!(answer, Value::Null, "{id}"),
        }
        answered.insert(id, answer);
    }
    // Empty answers prove nothing.
    let lists = [
        "list_devices",
        "list_events",
        "show_usage",
        "list_users",
        "list_tokens",
        "list_keys",
        "list_connection_attempts",
        "list_rules",
        "list_rule_kinds",
        "list_channels",
        "list_channel_kinds",
        "list_pauses",
    ];
    for list in lists {
        assert!(!answered[list].as_array().unwrap().is_empty(), "{list}");
    }
    for list in ["list_errors", "list_error_groups", "list_fleet_events", "list_audit_log", "list_deliveries"]
    {
        assert!(!answered[list]["items"].as_array().unwrap().is_empty(), "{list}");
    }
    let device = &answered["show_device"];
    assert!(device["host"].is_object() && device["report"]["cpu"].is_object(), "{device}");
    assert!(device["device"]["usage"].is_object() && device["device"]["openclaw"].is_object(), "{device}");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_usage_are_answered_or_refused_with_the_field() {
    type Names = &'static [(&'static str, Option<&'static str>)];
    let world = World::new().await;
    let ask = async |path: &str| world.ask("get", &format!("/api/v1{path}"), Some(&world.viewer), None).await;
    // The golden message is of 07:30 UTC on a Friday: evening already east of the date line, and the day before west of it.
    let cases: [(&str, Names); 8] = [
        ("by=day", &[("2026-11-20", None)]),
        ("by=hour&tz=Asia/Kathmandu", &[("2026-11-20T13:00:00+05:45", None)]),
        ("by=day&tz=Pacific/Pago_Pago", &[("2026-11-19", None)]),
        ("by=week&tz=Pacific/Kiritimati", &[("2026-11-16", None)]),
        ("by=month,provider", &[("2026-11", Some("anthropic")), ("2026-11", Some("ollama"))]),
        (
            "by=model,trigger&limit=1",
            &[("anthropic/claude-sonnet-4-5", Some("human")), ("other", Some("other"))],
        ),
        ("by=agent&tag=lab&model=llama3", &[("work:ops", None)]),
        ("by=agent&tag=none", &[]),
    ];
    for (query, wanted) in cases {
        let (status, answer) = ask(&format!("/usage?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        let groups = answer.as_array().unwrap();
        let names: Vec<_> =
            groups.iter().map(|group| (group["key"].as_str().unwrap(), group["second"].as_str())).collect();
        assert_eq!(names, wanted, "{query}");
    }
    for (path, field) in [
        ("/usage?tz=Mars/Base", "tz"),
        ("/devices?tz=Mars/Base", "tz"),
        ("/usage/summary?tz=Mars/Base", "tz"),
        ("/usage?by=year", "by"),
        ("/usage?by=day,hour", "by"),
        ("/usage?by=quarter&from=2020-01-01T00:00:00Z", "by"),
        ("/usage?by=day,model&limit=99&from=2020-01-01T00:00:00Z", "by"),
        ("/usage?limit=0", "limit"),
        ("/usage?from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", "from"),
        ("/usage?from=1999-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", "from"),
    ] {
        let (status, answer) = ask(path).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(answer["error"]["fields"][field].is_string(), "{path}: {answer}");
    }
    assert_eq!(ask("/usage?device=000000000000").await.0, StatusCode::NOT_FOUND);
    for (path, field) in [("/usage?colour=red", "colour"), ("/usage?limit=many", "limit")] {
        let (status, answer) = ask(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let error = &answer["error"];
        assert!(error["fields"][field].is_string(), "{path}: {answer}");
        assert!(!error["message"].as_str().unwrap().contains("deserialize"), "{path}: {answer}");
    }
    // Of the same device, by the days of two viewers.
    let used = async |tz: &str| {
        let usage = ask(&format!("/devices?tz={tz}")).await.1[0]["usage"].clone();
        ["today", "yesterday", "total"].map(|span| usage[span]["turns"].as_u64().unwrap())
    };
    assert_eq!(used("UTC").await, [7, 0, 7]);
    assert_eq!(used("Pacific/Pago_Pago").await, [7, 0, 7]);
    let prices = ask("/prices").await.1;
    assert_eq!((&prices["file"], &prices["unpriced_models"][0]), (&Value::Null, &Value::Null));
    assert!(prices["prices"].as_array().unwrap().len() > 10);
    // Twelve of its tokens had no price: the table has one, so nothing is unpriced.
    let usage = &ask("/usage?by=provider").await.1[0]["usage"];
    assert_eq!(usage["unpriced_tokens"], 0);
    assert!(usage["estimated_usd"].as_f64().unwrap() > 0.0);
    let spent = usage["cost_usd"].as_f64().unwrap() - usage["estimated_usd"].as_f64().unwrap();
    assert!((spent - 0.008_410_2).abs() < 1e-9, "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_public_and_readable() {
    let world = World::new().await;
    let (status, document) = world.ask("get", "/api/v1/openapi.json", None, None).await;
    assert_eq!((status, &document), (StatusCode::OK, &*DOCUMENT));
    for path in ["/api/docs", "/api/docs.css"] {
        assert_eq!(world.ask("get", path, None, None).await.0, StatusCode::OK, "{path}");
    }
    let (status, answer) = world.ask("put", "/api/v1/devices", None, None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    check("a wrong method", &json!({ "$ref": "#/components/schemas/ErrorView" }), &answer);
}
