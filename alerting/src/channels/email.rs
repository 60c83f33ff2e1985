//! E-mail, through anybody's SMTP server.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use tokio::time::timeout;

use super::form::Form;
use super::http::Web;
use super::reach::Nowhere;
use super::secrets::Secrets;
use super::words::{Tone, Words, cut, html};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Language, Message, Opens, Outcome,
    Problem, Sending,
};

/// How long the server may take for a mail: less than an attempt, so that it ends in words about it.
const LIMIT: Duration = Duration::from_secs(15);
const RECIPIENTS: usize = 20;
/// Addresses of the server that are tried.
const ADDRESSES: usize = 3;
const SUBJECT: usize = 200;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "email",
    name: ("E-mail", "邮件"),
    help: (
        "An account on any SMTP server. Many providers want an app password in place of your own.",
        "任意 SMTP 服务器上的账号。许多邮箱要求使用授权码（应用专用密码）而非登录密码。",
    ),
    own: &[
        Field {
            word: "host",
            label: ("SMTP server", "SMTP 服务器"),
            placeholder: "smtp.example.org",
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "security",
            label: ("Security", "加密方式"),
            kind: FieldKind::Choice(&[
                ("starttls", ("STARTTLS (port 587)", "STARTTLS（端口 587）")),
                ("tls", ("TLS (port 465)", "TLS（端口 465）")),
                ("none", ("None, on this machine only", "不加密，仅限本机")),
            ]),
            default: "starttls",
            ..Field::EMPTY
        },
        Field {
            word: "port",
            label: ("Port", "端口"),
            help: Some(("Empty: the usual one.", "留空则使用默认端口。")),
            placeholder: "587",
            kind: FieldKind::Number { min: 1, max: 65_535 },
            ..Field::EMPTY
        },
        Field {
            word: "user",
            label: ("User name", "用户名"),
            help: Some(("Empty: without signing in.", "留空则不登录。")),
            placeholder: "watch@example.org",
            ..Field::EMPTY
        },
        Field { word: "password", label: ("Password", "密码"), kind: FieldKind::Secret, ..Field::EMPTY },
        Field {
            word: "from",
            label: ("From", "发件人"),
            placeholder: "watch@example.org",
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "to",
            label: ("To", "收件人"),
            help: Some(("One address a line, or with commas.", "每行一个地址，或用逗号分隔。")),
            placeholder: "ann@example.org",
            kind: FieldKind::Lines,
            required: true,
            ..Field::EMPTY
        },
    ],
    http: false,
    edits: false,
    must_end: false,
    read,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    StartTls,
    Tls,
    None,
}

struct Email {
    web: Web,
    host: String,
    port: u16,
    security: Security,
    login: Option<Credentials>,
    from: Mailbox,
    to: Vec<Mailbox>,
    secrets: Secrets,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let mut problems = Vec::new();
    let host = form.owned("host");
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':')) {
        problems.push(Problem::new("host", "give the name of the server alone, such as smtp.example.org"));
    }
    let (security, usual) = match form.text("security") {
        Some("tls") => (Security::Tls, 465),
        Some("none") => (Security::None, 25),
        _ => (Security::StartTls, 587),
    };
    let port = form.number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(usual);
    let login = match (form.text("user"), form.text("password")) {
        (Some(user), Some(password)) => Some(Credentials::new(user.to_owned(), password.to_owned())),
        (None, None) => None,
        (Some(_), None) => {
            problems.push(Problem::new("password", "give the password, or leave the user name empty"));
            None
        }
        (None, Some(_)) => {
            problems.push(Problem::new("user", "give the user name, or leave the password empty"));
            None
        }
    };
    let from = form.owned("from").parse::<Mailbox>();
    if from.is_err() {
        problems.push(Problem::new("from", "give an e-mail address, such as watch@example.org"));
    }
    let to: Vec<&str> = form.text("to").unwrap_or_default().split(['\n', ',', ';']).map(str::trim).collect();
    let to = to.into_iter().filter(|to| !to.is_empty()).map(str::parse::<Mailbox>);
    let to = to.collect::<Result<Vec<_>, _>>().ok().filter(|to| (1..=RECIPIENTS).contains(&to.len()));
    if to.is_none() {
        problems.push(Problem::new("to", format!("give up to {RECIPIENTS} e-mail addresses, one a line")));
    }
    let (Ok(from), Some(to), true) = (from, to, problems.is_empty()) else { return Err(problems) };
    let from = Mailbox { name: from.name.or_else(|| Some("OpenClaw Watch".to_owned())), ..from };
    let secrets = Secrets::of(form);
    Ok(Box::new(move |outside| {
        Box::new(Email { web: outside.web.clone(), host, port, security, login, from, to, secrets })
    }))
}

impl Channel for Email {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(self.tell(message))
    }
}

impl Email {
    async fn tell(&self, message: Message<'_>) -> Outcome {
        let id = format!("<{}@{}>", message.notification.id, self.from.email.domain());
        let mail = self.mail(&message, &id).map_err(|why| Failed::new(Fault::Message, why))?;
        let bytes = mail.formatted();
        let all: Vec<Address> = self.to.iter().map(|to| to.email.clone()).collect();
        let arrived = |answer: String| {
            // What follows answers to the first one.
            let handle = message.handle.map_or(id.clone(), str::to_owned);
            Ok(Arrived { handle: Some(handle), answer })
        };
        let mut transports = self.transports().await?.into_iter();
        let (transport, refused) = loop {
            let Some(transport) = transports.next() else {
                return Err(Failed::new(Fault::Channel, format!("{} has no address", self.host)));
            };
            match self.hand_over(&transport, all.clone(), &bytes).await {
                Ok(response) => return arrived(self.said(&response)),
                // A name may stand for an address at which nobody listens, and for one at which somebody does.
                Err(failed) if failed.fault == Fault::Channel && transports.len() > 0 => {}
                Err(failed) => break (transport, failed),
            }
        };
        if refused.fault != Fault::Message || all.len() == 1 {
            return Err(refused);
        }
        // One address that is refused keeps nothing from the others.
        let (mut reached, mut whys) = (0, Vec::new());
        for to in all {
            match self.hand_over(&transport, vec![to.clone()], &bytes).await {
                Ok(_) => reached += 1,
                Err(failed) if failed.fault == Fault::Message => whys.push(format!("{to}: {}", failed.why)),
                Err(failed) => return Err(failed),
            }
        }
        if reached == 0 { Err(refused) } else { arrived(format!("refused for {}", whys.join(", "))) }
    }

    async fn hand_over(
        &self,
        transport: &AsyncSmtpTransport<Tokio1Executor>,
        to: Vec<Address>,
        mail: &[u8],
    ) -> Result<Response, Failed> {
        let envelope = Envelope::new(Some(self.from.email.clone()), to);
        let envelope = envelope.map_err(|error| Failed::new(Fault::Settings, error.to_string()))?;
        // The transport's own limit is only that of connecting.
        match timeout(LIMIT, transport.send_raw(&envelope, mail)).await {
            Ok(sent) => sent.map_err(|error| self.failed(&error)),
            Err(_) => Err(Failed::new(Fault::Channel, format!("{}: no answer in time", self.host))),
        }
    }

    /// To addresses that were just looked at, under the name that the certificate must have.
    async fn transports(&self) -> Result<Vec<AsyncSmtpTransport<Tokio1Executor>>, Failed> {
        let found = self.web.reach().resolve(&self.host, self.port).await.map_err(|nowhere| {
            let fault = if matches!(nowhere, Nowhere::Private) { Fault::Settings } else { Fault::Channel };
            Failed::new(fault, format!("{}: {nowhere}", self.host))
        })?;
        let (tls, found): (Tls, Vec<_>) = match self.security {
            Security::StartTls => (Tls::Required(self.tls()?), found),
            Security::Tls => (Tls::Wrapper(self.tls()?), found),
            Security::None => (Tls::None, found.into_iter().filter(|at| at.ip().is_loopback()).collect()),
        };
        if found.is_empty() {
            let why = "without encryption only a server on this machine is used: choose STARTTLS or TLS";
            return Err(Failed::new(Fault::Settings, why));
        }
        let transport = |address: SocketAddr| {
            let mut builder =
                AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
                    .port(self.port)
                    .timeout(Some(LIMIT))
                    .hello_name(ClientId::Domain(self.from.email.domain().to_owned()))
                    .tls(tls.clone());
            if let Some(login) = &self.login {
                builder = builder.credentials(login.clone());
            }
            builder.build()
        };
        Ok(found.into_iter().take(ADDRESSES).map(transport).collect())
    }

    fn tls(&self) -> Result<TlsParameters, Failed> {
        let mut builder = TlsParameters::builder(self.host.clone()).certificate_store(CertificateStore::None);
        for root in self.web.roots() {
            if let Ok(root) = Certificate::from_der(root.to_vec()) {
                builder = builder.add_root_certificate(root);
            }
        }
        builder.build().map_err(|error| self.failed(&error))
    }

    fn mail(&self, message: &Message<'_>, id: &str) -> Result<Mail, String> {
        let words = Words::of(message);
        let mut builder = Mail::builder()
            .from(self.from.clone())
            .subject(cut(&words.headline, SUBJECT))
            .message_id(Some(id.to_owned()))
            .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(message.notification.at.0).unwrap_or(0)));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if let Some(first) = message.handle {
            builder = builder.in_reply_to(first.to_owned()).references(first.to_owned());
        }
        // Nobody's absence is answered to it; and some readers show what is urgent.
        let urgent = if words.tone == Tone::Critical { "high" } else { "normal" };
        for (name, value) in [("Auto-Submitted", "auto-generated"), ("Importance", urgent)] {
            let value = HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
            builder = builder.raw_header(value);
        }
        let text =
            SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(&words, message.voice.language));
        let page =
            SinglePart::builder().header(ContentType::TEXT_HTML).body(page(&words, message.voice.language));
        builder
            .multipart(MultiPart::alternative().singlepart(text).singlepart(page))
            .map_err(|error| error.to_string())
    }

    fn said(&self, response: &Response) -> String {
        let said: Vec<&str> = response.message().collect();
        self.secrets.hide(&format!("SMTP {}: {}", response.code(), said.join(" ")))
    }

    fn failed(&self, error: &SmtpError) -> Failed {
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        let fault = match error.status().map(u16::from) {
            // Not signed in, or not well enough.
            Some(530 | 534 | 535 | 538) => Fault::Settings,
            Some(500..) => Fault::Message,
            // It offers no way to sign in, or no encryption.
            None if error.is_client() => Fault::Settings,
            // It wants to be asked later; or the network.
            Some(_) | None => Fault::Channel,
        };
        Failed::new(fault, self.secrets.hide(&format!("{}: {why}", self.host)))
    }
}

fn text(words: &Words, language: Language) -> String {
    let mut lines = vec![words.headline.clone(), String::new(), words.body(language)];
    if let Some((name, url)) = &words.link {
        lines.extend([String::new(), format!("{name}: {url}")]);
    }
    lines.extend([String::new(), "-- ".to_owned(), "OpenClaw Watch".to_owned()]);
    lines.join("\r\n")
}

fn page(words: &Words, language: Language) -> String {
    let color = words.tone.hex();
    let lang = match language {
        Language::En => "en",
        Language::Zh => "zh-CN",
    };
    let detail = words
        .detail
        .iter()
        .map(|line| format!("<p style=\"margin:0 0 8px\">{}</p>", html(line)))
        .collect::<Vec<_>>();
    let facts = words
        .facts
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><td style=\"padding:2px 16px 2px 0;color:#5b6470\">{}</td><td style=\"padding:2px 0\">{}</td></tr>",
                html(name),
                html(value)
            )
        })
        .collect::<Vec<_>>();
    let link = words.link.as_ref().map(|(name, url)| {
        format!(
            "<p style=\"margin:16px 0 0\"><a href=\"{}\" style=\"display:inline-block;padding:8px 16px;border-radius:6px;background:#2257b0;color:#ffffff;text-decoration:none\">{}</a></p>",
            html(url),
            html(name)
        )
    });
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"></head>\
         <body style=\"margin:0;padding:24px;font:15px/1.5 system-ui,sans-serif;color:#1c2128;background:#ffffff\">\
         <div style=\"max-width:640px;border-left:4px solid {color};padding-left:16px\">\
         <h1 style=\"margin:0 0 12px;font-size:18px\">{}</h1>{}<table style=\"border-collapse:collapse\">{}</table>{}\
         <p style=\"margin:24px 0 0;color:#5b6470;font-size:12px\">OpenClaw Watch</p></div></body></html>",
        html(&words.headline),
        detail.concat(),
        facts.concat(),
        link.unwrap_or_default()
    )
}
