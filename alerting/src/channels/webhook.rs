//! A web address of anybody's: the notification as JSON, or as its owner's template writes it, signed if wanted.

use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, filters};
use protocol::{Clock, Timestamp};
use serde_json::json;
use store::{Said, Severity, Zone};

use super::form::Form;
use super::http::{Address, Client, ClientSetup, Header, Method, header, hmac_sha256};
use super::words::{Words, subject, tags};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Language, Message, Opens, Problem,
    Sending, Voice,
};
use crate::{Notification, Occasion, Subject};

/// Steps of a template: far more than any message takes, and over in a moment.
const FUEL: u64 = 100_000;
/// Bytes of a template, and what it may say.
const TEMPLATE: usize = 8 << 10;
const STATEMENTS: [&str; 4] = ["if", "elif", "else", "endif"];
/// Bytes of a body.
const BODY: usize = 256 << 10;
const NAME: &str = "body";

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "webhook",
    name: ("Webhook", "Webhook"),
    help: (
        "Any address that takes a POST. Without a template the body is JSON, described in docs/OPERATIONS.md. Idempotency-Key is the same in each attempt.",
        "任意可接收 POST 的地址。不填模板时正文为 JSON，格式见 docs/OPERATIONS.md。同一通知重试时 Idempotency-Key 不变。",
    ),
    own: &[
        Field {
            word: "url",
            label: ("Address", "地址"),
            placeholder: "https://example.org/hook",
            // Of many it is all that is needed to write there.
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "method",
            label: ("Method", "方法"),
            kind: FieldKind::Choice(&[("POST", ("POST", "POST")), ("PUT", ("PUT", "PUT"))]),
            default: "POST",
            ..Field::EMPTY
        },
        Field {
            word: "authorization",
            label: ("Secret header", "保密请求头"),
            help: Some(("A header with a token or password in it.", "含令牌或密码的请求头。")),
            placeholder: "Authorization: Bearer …",
            kind: FieldKind::Secret,
            ..Field::EMPTY
        },
        Field {
            word: "headers",
            label: ("Other headers", "其他请求头"),
            help: Some(("A line each.", "每行一个。")),
            placeholder: "X-Team: operations",
            kind: FieldKind::Lines,
            ..Field::EMPTY
        },
        Field {
            word: "secret",
            label: ("Secret for the signature", "签名密钥"),
            help: Some((
                "Adds X-OpenClaw-Watch-Signature: t=TIME,v1=HEX, where HEX is HMAC-SHA256 of \"TIME.BODY\".",
                "添加请求头 X-OpenClaw-Watch-Signature: t=时间,v1=十六进制；后者为「时间.正文」的 HMAC-SHA256。",
            )),
            kind: FieldKind::Secret,
            ..Field::EMPTY
        },
        Field {
            word: "template",
            label: ("Body", "正文模板"),
            help: Some((
                "Jinja. Names: id, occasion, severity, headline, title, detail, text, device, device_id, tags, devices, rule, alert, at, fired_at, resolved_at, url, language. In JSON write {{ headline | tojson }}. There are if, and the filters tojson, join, default, upper, lower, trim, length, first, last, urlencode.",
                "Jinja 模板。可用变量：id、occasion、severity、headline、title、detail、text、device、device_id、tags、devices、rule、alert、at、fired_at、resolved_at、url、language。写在 JSON 中请用 {{ headline | tojson }}。支持 if 语句和过滤器 tojson、join、default、upper、lower、trim、length、first、last、urlencode。",
            )),
            placeholder: "{\"text\": {{ headline | tojson }}}",
            kind: FieldKind::Lines,
            ..Field::EMPTY
        },
        Field {
            word: "content_type",
            label: ("Content type", "内容类型"),
            placeholder: "application/json",
            default: "application/json",
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Webhook {
    client: Client,
    url: Address,
    method: Method,
    headers: Vec<Header>,
    secret: Option<String>,
    template: Option<Template>,
    clock: Clock,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, setup) = (form.address("url")?, ClientSetup::read(form)?);
    let method = if form.text("method") == Some("PUT") { Method::PUT } else { Method::POST };
    let content_type = form.owned("content_type");
    let mut headers = Vec::new();
    let lines = [("content_type", Some(format!("Content-Type: {content_type}")))].into_iter();
    let lines = lines.chain([("authorization", form.text("authorization").map(str::to_owned))]);
    let others = form.text("headers").unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
    let lines = lines.chain(others.map(|line| ("headers", Some(line.to_owned()))));
    for (field, line) in lines {
        if let Some(line) = line {
            headers.push(header(&line).map_err(|why| vec![Problem::new(field, why)])?);
        }
    }
    let template = form.text("template").map(|text| Template::parse(text, content_type.contains("json")));
    let template = template.transpose().map_err(|why| vec![Problem::new("template", why)])?;
    let secret = form.text("secret").map(str::to_owned);
    Ok(Box::new(move |outside| {
        let (client, clock) = (outside.web.client(setup), outside.clock.clone());
        Box::new(Webhook { client, url, method, headers, secret, template, clock })
    }))
}

impl Channel for Webhook {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let body = match &self.template {
                Some(template) => {
                    template.render(&message).map_err(|why| Failed::new(Fault::Message, why))?
                }
                None => plain(&message).to_string(),
            };
            let mut ask = self.client.ask(self.method.clone(), self.url.clone());
            for (name, value) in &self.headers {
                ask = ask.header(name.clone(), value.clone());
            }
            ask = ask.with("idempotency-key", &message.notification.id);
            if let Some(secret) = &self.secret {
                let at = self.clock.now().0 / 1_000;
                let sign = hmac_sha256(secret.as_bytes(), format!("{at}.{body}").as_bytes());
                let hex = sign.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
                ask = ask.with("x-openclaw-watch-signature", &format!("t={at},v1={hex}"));
            }
            let answer = ask.body(body).send().await?;
            answer.judge(false)?;
            Ok(Arrived { handle: None, answer: answer.said })
        })
    }
}

/// A moment as RFC 3339 has it.
pub(super) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default()
}

/// The notification as JSON; docs/OPERATIONS.md describes it.
fn plain(message: &Message<'_>) -> serde_json::Value {
    let (said, words) = (message.notification, Words::of(message));
    let both = |said: &Said| json!({ "en": said.en, "zh": said.zh });
    json!({
        "v": 1,
        "id": said.id,
        "occasion": said.occasion.as_str(),
        "severity": said.severity.as_str(),
        "at": rfc3339(said.at),
        "headline": words.headline,
        "text": words.body(message.voice.language),
        "title": both(&said.title),
        "detail": said.detail.as_ref().map(both),
        "alert": said.alert,
        "rule": said.rule,
        "device": said.device.as_ref().map(|device| json!({
            "id": device.id.to_string(), "name": device.name, "tags": device.tags,
        })),
        "devices": said.devices,
        "fired_at": said.fired_at.map(rfc3339),
        "resolved_at": said.resolved_at.map(rfc3339),
        "url": said.url,
    })
}

/// A body as its owner writes it.
struct Template {
    environment: Environment<'static>,
    json: bool,
}

impl Template {
    /// Reads a template, and tries it on everything that may come.
    fn parse(text: &str, json: bool) -> Result<Self, String> {
        modest(text)?;
        let mut environment = Environment::empty();
        environment.set_fuel(Some(FUEL));
        add_filters(&mut environment);
        // A misspelt name is found now, and not when something is to be told.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| explain(&error))?;
        let template = Self { environment, json };
        let voice = Voice { language: Language::En, zone: Zone::utc() };
        for notification in &samples() {
            let message = Message { notification, voice: &voice, handle: None };
            template.knows(&names(&message))?;
            template.render(&message)?;
        }
        Ok(template)
    }

    /// A filter takes what does not exist for nothing, so names are looked at by themselves.
    fn knows(&self, names: &Value) -> Result<(), String> {
        let used = self.environment.get_template(NAME).map(|template| template.undeclared_variables(false));
        let used = used.map_err(|error| explain(&error))?;
        let is_known = |name: &str| {
            names.get_attr(name).is_ok_and(|value| !value.is_undefined())
                || self.environment.globals().any(|(global, _)| global == name)
        };
        match used.iter().filter(|name| !is_known(name)).min() {
            Some(name) => {
                Err(format!("there is no {name}: use one of the names that are listed at the field"))
            }
            None => Ok(()),
        }
    }

    fn render(&self, message: &Message<'_>) -> Result<String, String> {
        let rendered =
            self.environment.get_template(NAME).and_then(|template| template.render(names(message)));
        let body = rendered.map_err(|error| explain(&error))?;
        if body.len() > BODY {
            return Err("the template writes more than 256 KiB".to_owned());
        }
        if self.json && serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
            return Err("the template does not always give JSON: write each text as {{ headline | tojson }}, without quotation marks around it".to_owned());
        }
        Ok(body)
    }
}

/// Refuses what could make a template grow out of proportion: steps are counted, what is in memory is not. Without values of
/// its own, loops and multiplication a template makes nothing that is much longer than itself and what it is about, and the
/// filters see to the rest.
fn modest(text: &str) -> Result<(), String> {
    if text.len() > TEMPLATE {
        return Err("the template has more than 8 KiB".to_owned());
    }
    if text.contains('*') {
        return Err("leave out *: a template does not multiply".to_owned());
    }
    for rest in text.split("{%").skip(1) {
        let rest = rest.trim_start_matches(['-', '+']).trim_start();
        let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        if !STATEMENTS.contains(&word.as_str()) {
            return Err(format!("leave out {word:?}: a template has {}", STATEMENTS.join(", ")));
        }
    }
    Ok(())
}

/// The filters that a template may use. What one gives is never longer than a body may be.
fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("default", filters::default);
    environment.add_filter("length", filters::length);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("tojson", |value: &Value| {
        short(value, filters::tojson(value, None, std::iter::empty::<(&str, Value)>().collect::<Kwargs>()))
    });
    environment
        .add_filter("urlencode", |value: &Value| short(value, filters::urlencode(value).map(Value::from)));
    environment.add_filter("join", |value: &Value, between: String| {
        let parts: Vec<String> = value.try_iter()?.map(|part| part.to_string()).collect();
        let long = parts.iter().map(|part| part.len() + between.len()).sum::<usize>() > BODY;
        if long { Err(too_long()) } else { Ok(Value::from(parts.join(&between))) }
    });
}

fn short(of: &Value, made: Result<Value, minijinja::Error>) -> Result<Value, minijinja::Error> {
    let long = |value: &Value| value.as_str().is_some_and(|text| text.len() > BODY);
    let made = made?;
    if long(of) || long(&made) { Err(too_long()) } else { Ok(made) }
}

fn too_long() -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, "longer than 256 KiB")
}

/// The names that a template may use, all of them always there.
fn names(message: &Message<'_>) -> Value {
    let (said, words) = (message.notification, Words::of(message));
    let moment = |at: Option<Timestamp>| at.map(rfc3339).unwrap_or_default();
    let zh = message.voice.language == Language::Zh;
    let in_language = |said: &Said| if zh { said.zh.clone() } else { said.en.clone() };
    let device = said.device.as_ref();
    context! {
        id => said.id.as_str(),
        occasion => said.occasion.as_str(),
        severity => said.severity.as_str(),
        headline => words.headline.as_str(),
        title => in_language(&said.title),
        detail => words.detail.join("\n"),
        text => words.body(message.voice.language),
        device => device.and_then(|_| subject(said, message.voice.language)).unwrap_or_default(),
        device_id => device.map(|device| device.id.to_string()).unwrap_or_default(),
        tags => tags(said),
        devices => said.devices.unwrap_or(u32::from(device.is_some())),
        rule => said.rule.as_deref().unwrap_or_default(),
        alert => said.alert.unwrap_or_default(),
        at => rfc3339(said.at),
        fired_at => moment(said.fired_at),
        resolved_at => moment(said.resolved_at),
        url => said.url.as_deref().unwrap_or_default(),
        language => if zh { "zh" } else { "en" },
    }
}

fn explain(error: &minijinja::Error) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}

/// What may come: with a device and without, and with everything in it that breaks carelessly written JSON.
fn samples() -> [Notification; 3] {
    let said = |text: &str| Said { en: text.to_owned(), zh: text.to_owned() };
    let nasty = "say \"hello\"\\ {{ }}\n<b>&amp;</b>";
    let test = Notification {
        id: "test".to_owned(),
        occasion: Occasion::Test,
        at: Timestamp(0),
        alert: None,
        rule: None,
        severity: Severity::Info,
        title: said("Test"),
        detail: None,
        device: None,
        devices: None,
        fired_at: None,
        resolved_at: None,
        url: None,
    };
    let fleet = Notification {
        occasion: Occasion::Fired,
        alert: Some(1),
        rule: Some("offline".to_owned()),
        severity: Severity::Critical,
        devices: Some(12),
        fired_at: Some(Timestamp(0)),
        ..test.clone()
    };
    let device = protocol::DeviceId::parse("abcdefghjkmn").ok();
    let one = Notification {
        occasion: Occasion::Resolved,
        title: said(nasty),
        detail: Some(said(nasty)),
        device: device.map(|id| Subject { id, name: nasty.to_owned(), tags: vec![nasty.to_owned()] }),
        devices: None,
        resolved_at: Some(Timestamp(60_000)),
        url: Some("https://watch.example/alerts/1".to_owned()),
        ..fleet.clone()
    };
    [test, fleet, one]
}
