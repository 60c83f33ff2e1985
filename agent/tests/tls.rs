//! The real agent against real TLS servers, good and bad.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers too"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;

use agent::Pin;
use common::{Broker, Device, Door, finished, free_port};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority of our own, as the machine's only one.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: tempfile::NamedTempFile,
}

struct Certificate {
    chain: String,
    key: String,
    pin: Pin,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        pem.write_all(certificate.pem().as_bytes()).unwrap();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str, years: std::ops::Range<i32>) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name, years).signed_by(&key, &self.issuer).unwrap();
        Certificate { chain: certificate.pem(), key: key.serialize_pem(), pin: Pin::of(certificate.der()) }
    }

    /// Runs `check` with this authority as the only one the machine trusts.
    fn check(&self, server: &str, more: &[&str]) -> (Option<i32>, String) {
        let device = Device::new();
        finished(
            device
                .agent("check", server, more)
                .env("SSL_CERT_FILE", self.pem.path())
                .env_remove("SSL_CERT_DIR"),
        )
    }
}

fn params(name: &str, years: std::ops::Range<i32>) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.start, 1, 1);
    params.not_after = date_time_ymd(years.end, 1, 1);
    params
}

/// As the server makes its own on first start.
fn self_made() -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = params("openclaw-watch", 2020..2120).self_signed(&key).unwrap();
    Certificate { chain: certificate.pem(), key: key.serialize_pem(), pin: Pin::of(certificate.der()) }
}

fn tls(certificate: &Certificate) -> Broker {
    Broker::start(&Door::Tls { chain: &certificate.chain, key: &certificate.key })
}

#[test]
fn the_pinned_certificate_is_accepted_whatever_its_name() {
    let certificate = self_made();
    let broker = tls(&certificate);
    let device = Device::new();
    let server = format!("127.0.0.1:{}", broker.device_port);
    let (code, output) =
        finished(&mut device.agent("once", &server, &["--pin", &certificate.pin.to_string()]));
    assert_eq!(code, Some(0), "{output}");
    assert!(broker.retained(2).iter().any(common::Message::is_report));
}

#[test]
fn another_certificate_is_refused_however_well_it_is_signed() {
    let authority = Authority::new();
    let certificate = authority.sign("localhost", 2020..2120);
    let broker = tls(&certificate);
    let server = format!("localhost:{}", broker.device_port);
    let (code, output) = authority.check(&server, &["--pin", &self_made().pin.to_string()]);
    assert_eq!(code, Some(1));
    let sentence =
        format!("the server's certificate has fingerprint {}, not the one given with --pin", certificate.pin);
    assert!(output.contains(&sentence) && output.contains("copy the line from the page again"), "{output}");
}

#[test]
fn without_a_pin_the_machines_authorities_decide() {
    let authority = Authority::new();
    let check = |certificate: &Certificate, words: &[&str]| {
        let broker = tls(certificate);
        let (code, output) = authority.check(&format!("localhost:{}", broker.device_port), &[]);
        assert_eq!(code, Some(i32::from(words[0].starts_with("FAILED"))), "{output}");
        for word in words {
            assert!(output.contains(word), "{word}: {output}");
        }
    };
    check(
        &authority.sign("localhost", 2020..2120),
        &["that this machine trusts", "the server accepts the key"],
    );
    check(
        &authority.sign("localhost", 2020..2021),
        &["FAILED  the server's certificate has expired", "this machine's clock says 2", "not known"],
    );
    check(
        &authority.sign("localhost", 2119..2120),
        &["FAILED  the server's certificate is not yet valid", "clock says 2"],
    );
    check(
        &authority.sign("nas.example", 2020..2120),
        &["FAILED  the server's certificate is not for localhost but for", "nas.example", "--pin"],
    );
    let unknown = self_made();
    check(
        &unknown,
        &["FAILED  the server's certificate is not signed by an authority", &unknown.pin.to_string()],
    );
}

#[test]
fn a_machine_without_authorities_is_told_to_pin() {
    let broker = tls(&self_made());
    let device = Device::new();
    let mut agent = device.agent("check", &format!("localhost:{}", broker.device_port), &[]);
    let (code, output) = finished(agent.env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR"));
    assert_eq!(code, Some(1));
    assert!(output.contains("FAILED  this machine has no list of certificate authorities"), "{output}");
}

#[test]
fn reports_go_through_a_web_socket() {
    let certificate = self_made();
    let broker = Broker::start(&Door::WebSocket { chain: &certificate.chain, key: &certificate.key });
    let device = Device::new();
    for host in ["localhost", "127.0.0.1"] {
        let server = format!("wss://{host}:{}/mqtt", broker.device_port);
        let (code, output) =
            finished(&mut device.agent("once", &server, &["--pin", &certificate.pin.to_string()]));
        assert_eq!(code, Some(0), "{output}");
    }
    assert!(broker.retained(2).iter().any(common::Message::is_report));
    let (_, output) = Authority::new().check(&format!("wss://localhost:{}", broker.device_port), &[]);
    assert!(output.contains("not signed by an authority"), "{output}");
}

#[test]
fn what_is_not_our_server_is_said() {
    let authority = Authority::new();
    let check = |server: &str, words: &str| {
        let (code, output) = authority.check(server, &[]);
        assert_eq!(code, Some(1));
        assert!(output.contains(&format!("FAILED  {words}")), "{server}: {output}");
    };
    let answering = |answer: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).is_ok() {
                    stream.write_all(answer).ok();
                }
            }
        });
        port
    };
    let web = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    check(&format!("127.0.0.1:{}", free_port()), "127.0.0.1 is there, but nothing listens");
    check("no-such-host.invalid:1", "the name no-such-host.invalid is not known");
    check(&format!("127.0.0.1:{web}"), &format!("what listens on 127.0.0.1:{web} does not speak TLS"));
    check(
        &format!("mqtt://127.0.0.1:{web}"),
        &format!("what listens on mqtt://127.0.0.1:{web} does not speak MQTT"),
    );
    let closing = answering(b"");
    check(&format!("127.0.0.1:{closing}"), &format!("127.0.0.1:{closing} closed the connection"));
}
